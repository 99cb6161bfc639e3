"""Scripts for the page: whether what is on it can be read."""

from __future__ import annotations

# Texts of one panel that lie over each other, and what reaches out of the workbench.
CROWDED = """(root) => {
    const seen = (e) => e.checkVisibility({ visibilityProperty: true })
        && !e.closest('.slim-tip, thead, tfoot, .slim-head'); // these lie over what scrolls
    const leaf = (e) => ![...e.children].some((c) => c.tagName !== 'title')
        && e.textContent.trim() !== ''
        && !['title', 'circle', 'OPTION', 'STYLE', 'SUMMARY'].includes(e.tagName);
    const shown = (e) => {
        let box = e.getBoundingClientRect();
        for (let p = e.parentElement; p && root.contains(p); p = p.parentElement) {
            if (getComputedStyle(p).overflow === 'visible') continue;
            const frame = p.getBoundingClientRect();
            if (box.bottom > frame.bottom + 1 || box.top < frame.top - 1) return null;
            if (box.right > frame.right + 1 || box.left < frame.left - 1) return null;
        }
        return box;
    };
    const texts = [...root.querySelectorAll('*')].filter((e) => leaf(e) && seen(e))
        .map((e) => [e, shown(e)]).filter(([, box]) => box && box.width > 0);
    const found = [];
    for (let i = 0; i < texts.length; i++) {
        for (let j = i + 1; j < texts.length; j++) {
            const [a, x] = texts[i], [b, y] = texts[j];
            const wide = Math.min(x.right, y.right) - Math.max(x.left, y.left);
            const high = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
            if (wide > 2 && high > 3) found.push(`${a.textContent} | ${b.textContent}`);
        }
    }
    const frame = root.getBoundingClientRect();
    for (const [e, box] of texts) {
        if (box.right <= frame.right + 1 && box.left >= frame.left - 1) continue;
        found.push(`outside: ${e.textContent}`);
    }
    return found.slice(0, 8);
}"""
# Letters against what is behind them, as WCAG counts it.
PALE = """(root) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (css) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = css; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (e) => {
        for (let p = e; p; p = p.parentElement) {
            const colour = rgba(getComputedStyle(p).backgroundColor);
            if (colour[3] > 200) return colour;
        }
        return [255, 255, 255, 255];
    };
    const found = new Set();
    const kinds = 'span, b, th, td, button, label, p, output, small, em, text';
    for (const e of root.querySelectorAll(kinds)) {
        if (!e.checkVisibility() || !e.textContent.trim()) continue;
        if (e.closest('[disabled]') || e.querySelector('*')) continue;
        const style = getComputedStyle(e);
        const ink = light(rgba(e.tagName === 'text' ? style.fill : style.color));
        const paper = light(behind(e));
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (contrast < 4.5) found.add(`${e.textContent.slice(0, 30)}: ${contrast.toFixed(1)}`);
    }
    return [...found].slice(0, 8);
}"""
THEME = """async (name) => {
    await window.jupyterapp.commands.execute('apputils:change-theme', { theme: name });
    const dark = name.includes('Dark');
    while (document.body.dataset.jpThemeLight !== String(!dark)) {
        await new Promise((later) => setTimeout(later, 50));
    }
}"""
