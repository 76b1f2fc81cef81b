// What is wrong with how a page looks at this size, as a list of sentences.
(() => {
  const wrong = []
  const shown = e => e.checkVisibility({ visibilityProperty: true, opacityProperty: true, contentVisibilityAuto: true }) && e.getClientRects().length > 0
  const name = e => `<${e.tagName.toLowerCase()}${e.id ? ` id=${e.id}` : ""}${e.className && e.getAttribute("class") ? ` class="${e.getAttribute("class")}"` : ""}> “${(e.innerText || e.value || "").trim().slice(0, 40)}”`
  // For people who listen, and hidden from the others.
  const clipped = e => { const r = e.getBoundingClientRect(); return r.width <= 1 || r.height <= 1 || r.bottom < 0 && scrollY === 0 }

  const page = document.scrollingElement
  if (page.scrollWidth > innerWidth) {
    const widest = [...document.body.querySelectorAll("*")].filter(e => shown(e) && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(name)
    wrong.push(`the page is ${page.scrollWidth} wide and scrolls: ${widest.join(", ")}`)
  }

  const controls = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")].filter(e => shown(e) && !clipped(e))
  for (const e of controls) {
    if (getComputedStyle(e).display !== "inline" && e.matches("button, a, summary") && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) && !e.closest("td")) {
      wrong.push(`the text of ${name(e)} is cut: ${e.scrollWidth}×${e.scrollHeight} in ${e.clientWidth}×${e.clientHeight}`)
    }
  }
  // What lies over the page on purpose: a dialog, a pane.
  const layer = e => { for (; e; e = e.parentElement) if (e.matches("dialog") || getComputedStyle(e).position === "fixed") return e }
  const boxes = controls.map(e => [e, e.getBoundingClientRect()])
  for (const [i, [a, x]] of boxes.entries()) {
    for (const [b, y] of boxes.slice(i + 1)) {
      if (a.contains(b) || b.contains(a) || layer(a) !== layer(b)) continue
      const width = Math.min(x.right, y.right) - Math.max(x.left, y.left), height = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top)
      if (width > 2 && height > 2) wrong.push(`${name(a)} and ${name(b)} overlap by ${Math.round(width)}×${Math.round(height)}`)
    }
  }

  // Contrast: WCAG 2.2, 1.4.3. Colours are read through a canvas, which knows
  // every way to write one.
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const known = new Map()
  const rgba = color => {
    if (!known.has(color)) {
      pen.clearRect(0, 0, 1, 1)
      pen.fillStyle = color
      pen.fillRect(0, 0, 1, 1)
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data
      known.set(color, [r, g, b, a / 255])
    }
    return known.get(color)
  }
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1]
  const light = c => {
    const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1]
  const behind = e => {
    const layers = []
    for (; e; e = e.parentElement) layers.push(rgba(getComputedStyle(e).backgroundColor))
    return layers.reduceRight((below, layer) => over(layer, below), canvas)
  }
  const opacity = e => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1
  const check = (e, color, what) => {
    const style = getComputedStyle(e), ground = behind(e)
    const [r, g, b, a] = rgba(color)
    const x = light(over([r, g, b, a * opacity(e)], ground)), y = light(ground)
    const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)
    const size = parseFloat(style.fontSize)
    const least = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700 ? 3 : 4.5
    if (contrast < least) wrong.push(`contrast ${contrast.toFixed(2)} of ${what} ${name(e)}: ${color} on ${ground.map(Math.round)}`)
  }
  const seen = new Set()
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement
    if (!texts.currentNode.data.trim() || seen.has(e) || e.closest("script, style, noscript, option, :disabled") || !shown(e) || clipped(e)) continue
    seen.add(e)
    check(e, getComputedStyle(e).color, "the text")
  }
  for (const e of controls.filter(e => e.matches("input, select, textarea"))) {
    check(e, getComputedStyle(e).color, "what is typed in")
    if (e.placeholder && !e.value) check(e, getComputedStyle(e, "::placeholder").color, "the placeholder of")
  }
  if (seen.size < 3) wrong.push(`there is next to no text: ${document.body.innerText}`)
  return wrong
})()
