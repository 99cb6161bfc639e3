import { defineConfig } from "vitest/config";

// A test may hang, but is never too slow: machines that check are busy.
export default defineConfig({ test: { environment: "jsdom", include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000 } });
