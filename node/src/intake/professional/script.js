// Keeps the time that is left counting. Without it, the page says what was left when it was made.
"use strict";

function said(seconds) {
    const [days, hours] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24];
    const [minutes, rest] = [Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (number) => String(number).padStart(2, "0");
    if (days > 0) return `${days} ${days === 1 ? "day" : "days"} ${hours} h`;
    if (hours > 0) return `${hours} h ${two(minutes)} min`;
    return `${minutes} min ${two(rest)} s`;
}

const begun = Date.now();
for (const place of document.querySelectorAll("[data-left]")) {
    const atFirst = Number(place.dataset.left);
    const count = () => {
        // The node's clock counts, not the browser's: only what has passed since is subtracted.
        const left = atFirst - Math.floor((Date.now() - begun) / 1000);
        place.textContent = left > 0 ? said(left) : place.dataset.over;
        if (left <= 0) clearInterval(timer);
    };
    const timer = setInterval(count, 1000);
}
