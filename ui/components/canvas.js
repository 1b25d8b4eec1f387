// A window into the space of codes. One code at a time is decoded, always the latest that was asked for.
const STEP = 0.02 // of the window, by an arrow key
const TRAIL = 80 // places
const DIALS = 6 // that are seen; the others are folded away
const LATTICE = 2.5 // samples on either side of the middle, on the plane of seeds
const SAME = 0.02 // standard deviations: a pin this near to the code of its place lies on the plane that is shown
const WARM_UP = 2 // pictures, which take many times as long as the others
const NAMES = { browser: "Decoding in the browser", socket: "Decoding on the server, by socket", fragment: "Decoding on the server, by rerun" }

const written = (value) => (Math.round(100 * value) / 100).toFixed(2).replace("-", "−")

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".canvas")
  const signature = JSON.stringify([data.views.map((view) => [view.id, view.origin, view.across, view.up, view.decoder]), data.seed, data.endless])
  if (root.live?.signature === signature) {
    root.live.answer(data.frame)
    root.live.redraw() // the theme may be another one
  } else {
    root.live?.end()
    root.live = live(root, data, signature, setStateValue)
  }
  return () => setTimeout(() => root.isConnected || leave(root)) // a call that another one overtook ends here, too
}

function leave(root) {
  root.live?.end()
  root.live = null
}

function live(root, data, signature, setStateValue) {
  const style = getComputedStyle(root)
  const theme = (name) => style.getPropertyValue(name).trim()
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer
  const floats = (text) => new Float32Array(bytes(text))
  const views = data.views.map((view) => ({
    ...view,
    ...Object.fromEntries(["origin", "across", "up", "mean", "sd", "points"].map((name) => [name, floats(view[name])])),
    labels: view.labels ? new Uint8Array(bytes(view.labels)) : null,
    draws: view.draws ? floats(view.draws) : null,
    turned: new Map(),
  }))
  const state = { at: [0, 0], centre: [0, 0], pins: [], pin: null, kept: null, trail: [], stamps: [] }
  goTo(data.start)
  keep()
  let ended = false

  root.innerHTML = `<div class="stage"><canvas class="pad" tabindex="0" role="application"
      aria-label="Plane of codes. Arrow keys move the pointer, Enter pins the picture."></canvas><div><div class="views"></div>
      <p class="engine" aria-live="off"></p><p class="spoken" aria-live="polite"></p>
      <div class="tray" role="group" aria-label="pinned pictures"></div></div></div>
    <div class="dials"></div><details hidden><summary></summary><div class="dials"></div></details>`
  const pad = root.querySelector(".pad")
  const told = root.querySelector(".engine")
  const spoken = root.querySelector(".spoken")
  const tray = root.querySelector(".tray")
  for (const view of views) {
    const element = document.createElement("div")
    element.className = "view"
    element.innerHTML = "<h4></h4><canvas role='img'></canvas><p></p>"
    element.querySelector("h4").textContent = view.title
    element.querySelector("h4").style.borderColor = view.colour
    view.picture = element.querySelector("canvas")
    view.picture.setAttribute("aria-label", `what ${view.title} decodes at the pointer`)
    view.words = element.querySelector("p")
    view.picture.width = view.shape[2]
    view.picture.height = view.shape[1]
    root.querySelector(".views").append(element)
  }
  makeDials()

  // --- codes ---

  // The same random numbers for the same place and seed, on every machine.
  function random(i, j, k) {
    let h = (Math.imul(i, 374761393) ^ Math.imul(j, 668265263) ^ Math.imul(k, 2246822519) ^ Math.imul(data.seed, 3266489917)) | 0
    h = Math.imul(h ^ (h >>> 15), 2246822519)
    h = Math.imul(h ^ (h >>> 13), 3266489917)
    return ((h ^ (h >>> 16)) >>> 0) / 4294967296
  }
  function normal(i, j, k) {
    const u = Math.max(1e-12, random(i, j, 2 * k))
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * random(i, j, 2 * k + 1))
  }
  function sampleAt(view, i, j) {
    const size = view.origin.length
    if (!view.draws) return Float32Array.from({ length: size }, (_, k) => normal(i, j, k))
    const row = Math.floor(random(i, j, 0) * (view.draws.length / size))
    return view.draws.subarray(row * size, (row + 1) * size)
  }

  // Where the pointer stands on the plane, and the way back; a plane of seeds moves below the pad. Rounded as an address
  // has it: what is on screen is what a reload shows.
  function place() {
    const at = data.endless ? [0, 1].map((k) => state.centre[k] + state.at[k] * LATTICE) : state.at
    return at.map((value) => Math.round(value * 1000) / 1000)
  }
  function goTo(place) {
    if (data.endless) state.centre = [...place]
    state.at = data.endless ? [0, 0] : [...place]
  }
  function keep() {
    state.kept = { at: state.at, centre: state.centre, pin: state.pin }
  }
  const onPad = (place) => (data.endless ? [0, 1].map((k) => (place[k] - state.centre[k]) / LATTICE) : place)

  function codeOf(view, [x, y]) {
    const size = view.origin.length
    const z = new Float32Array(size)
    if (!data.endless) {
      for (let k = 0; k < size; k++) z[k] = view.origin[k] + x * view.across[k] + y * view.up[k]
    } else {
      const [i, j] = [Math.floor(x), Math.floor(y)]
      const ease = (t) => t * t * (3 - 2 * t)
      const [a, b] = [ease(x - i), ease(y - j)]
      let squares = 0
      for (const [di, dj, weight] of [[0, 0, (1 - a) * (1 - b)], [1, 0, a * (1 - b)], [0, 1, (1 - a) * b], [1, 1, a * b]]) {
        const corner = sampleAt(view, i + di, j + dj)
        squares += weight * weight
        for (let k = 0; k < size; k++) z[k] += weight * corner[k]
      }
      // A weighted mean of independent normals is too short: corrected, it is a draw from the prior again.
      if (!view.draws) for (let k = 0; k < size; k++) z[k] /= Math.sqrt(squares)
    }
    return z
  }
  function turned(view, z) {
    for (const [k, by] of view.turned) z[k] += by
    return z
  }
  const shownCodes = () => state.pin?.codes ?? views.map((view) => turned(view, codeOf(view, place())))

  // In standard deviations of what data or prior cover.
  function apart(view, z, from) {
    let sum = 0
    for (let k = 0; k < z.length; k++) sum += ((z[k] - from[k]) / view.sd[k]) ** 2
    return Math.sqrt(sum / z.length)
  }

  // --- engines ---

  let engine = null
  let choosing = null
  // The server decodes until the browser has its decoders.
  async function choose() {
    const [best, next] = data.engines
    const meanwhile = best === "browser" && next === "socket" ? use(next) : null
    for (const name of data.engines) if (await (name === next && meanwhile ? meanwhile : use(name))) return
    told.textContent = "No decoder can be reached. Reload the page to try again."
  }
  async function use(name) {
    try {
      const made = await makers[name]()
      const late = engine && data.engines.indexOf(engine.name) < data.engines.indexOf(name)
      if (ended || late) made.end()
      else {
        engine?.end()
        engine = Object.assign(made, { name })
        root.engine = name
        follow()
      }
      return true
    } catch (error) {
      console.info(`canvas: no ${name} (${error})`)
      return false
    }
  }

  const makers = {
    async browser() {
      if (views.some((view) => !view.decoder)) throw new Error("a decoder has not been exported")
      const [script, machine] = data.runtime.map((path) => new URL(path, location.origin).href)
      const [ort, ...files] = await Promise.all([import(script), ...views.map((view) => fetched(view.decoder))])
      ort.env.wasm.wasmPaths = { wasm: machine }
      ort.env.wasm.numThreads = 1
      const sessions = await Promise.all(files.map((file) => ort.InferenceSession.create(file, { executionProviders: ["wasm"] })))
      const decode = async (number, z) => {
        const session = sessions[number]
        const result = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", z, [1, z.length]) })
        return result[session.outputNames[0]].data
      }
      root.decode = decode // for tests
      return { decode: async (codes) => Promise.all(codes.map((z, number) => decode(number, z))), scale: 255, end: () => sessions.forEach((one) => one.release()) }
    },
    async socket() {
      const place = location.origin.replace(/^http/, "ws")
      const sockets = views.map((view) => new WebSocket(place + view.socket))
      const end = () => sockets.forEach((one) => one.close())
      const opened = (socket) =>
        new Promise((resolve, reject) => {
          socket.binaryType = "arraybuffer"
          socket.onopen = resolve
          socket.onerror = () => reject(new Error("refused"))
        })
      try {
        await Promise.all(sockets.map(opened))
      } catch (error) {
        end()
        throw error
      }
      const ask = (socket, z) =>
        new Promise((resolve, reject) => {
          if (socket.readyState !== WebSocket.OPEN) return reject(new Error("closed while nobody asked"))
          socket.onmessage = (event) => resolve(new Uint8Array(event.data))
          socket.onclose = () => reject(new Error("closed"))
          socket.send(z)
        })
      return { decode: (codes) => Promise.all(codes.map((z, number) => ask(sockets[number], z))), scale: 1, end }
    },
    async fragment() {
      let waiting = null
      let n = 0
      return {
        decode: (codes) =>
          new Promise((resolve) => {
            waiting = { n: ++n, resolve }
            setStateValue("want", { n, codes: codes.map((z) => [...z]) })
          }),
        answer(frame) {
          if (!waiting || frame.n !== waiting.n) return
          const { resolve } = waiting
          waiting = null
          resolve(frame.pictures.map((text) => new Uint8Array(bytes(text))))
        },
        scale: 1,
        end() {},
      }
    },
  }

  let busy = false
  let again = false
  async function follow() {
    drawPad()
    if (busy || !engine) return void (again = true)
    busy = true
    again = false
    const by = engine
    try {
      const codes = shownCodes()
      const began = performance.now()
      const pictures = await by.decode(codes)
      if (ended) return
      views.forEach((view, number) => {
        paint(view.picture, view, pictures[number], by.scale)
        tellReach(view, codes[number])
      })
      const now = performance.now()
      root.latency = now - began
      root.drawn = (root.drawn ?? 0) + 1
      by.drawn = (by.drawn ?? 0) + 1
      state.stamps.push(now)
      while (state.stamps[0] < now - 1000) state.stamps.shift()
      const speed = by.drawn > WARM_UP ? ` · ${root.latency.toFixed(1)} ms a picture` : ""
      told.textContent = NAMES[by.name] + speed + (state.stamps.length > 5 ? ` · ${state.stamps.length} a second` : "")
      for (const pin of state.pins.filter((one) => !one.drawn)) await develop(pin, by)
    } catch (error) {
      if (ended) return
      again = true
      if (engine === by) {
        console.info(`canvas: ${by.name} broke off (${error})`)
        data.engines = data.engines.filter((name) => name !== by.name)
        engine = null
        by.end()
        await choosing
        if (!engine) await (choosing = choose())
      }
    } finally {
      busy = false
    }
    if (again && !ended) follow()
  }

  function paint(canvas, view, values, scale) {
    const [channels, height, width] = view.shape
    const image = new ImageData(width, height)
    const size = width * height
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(scale * values[(channels === 3 ? c * size : 0) + i])
      image.data[4 * i + 3] = 255
    }
    canvas.getContext("2d").putImageData(image, 0, 0)
  }
  function reach(view, z) {
    const share = apart(view, z, view.mean) / view.limit
    return share > 1 ? `Beyond what ${view.region} covers` : `Within ${view.region}: ${(100 * share).toFixed(0)}% of the way out`
  }
  function tellReach(view, z) {
    view.words.className = apart(view, z, view.mean) > view.limit ? "out" : ""
    view.words.textContent = reach(view, z)
  }
  // Not while a key is held down: every step would be read out.
  function speak() {
    const codes = shownCodes()
    const lines = views.map((view, number) => `${view.title}: ${reach(view, codes[number])}`)
    spoken.textContent = [place().map(written).join(", "), ...lines].join(". ")
  }

  // --- the pad ---

  const side = () => pad.clientWidth
  const toPad = ([u, v]) => [((u + 1) / 2) * pad.width, ((1 - v) / 2) * pad.height]

  let ground = null
  function drawGround() {
    ground = document.createElement("canvas")
    ground.width = ground.height = pad.width
    const pen = ground.getContext("2d")
    const view = views[0]
    const scale = devicePixelRatio
    if (data.endless) return
    pen.globalAlpha = 0.35
    for (let i = 0; i < view.points.length / 2; i++) {
      const [x, y] = toPad([view.points[2 * i], view.points[2 * i + 1]])
      pen.fillStyle = view.labels ? data.colours[view.labels[i] % data.colours.length] : theme("--st-primary-color")
      pen.fillRect(x, y, 1.6 * scale, 1.6 * scale)
    }
    pen.globalAlpha = 1
  }

  function drawPad() {
    const size = Math.round(side() * devicePixelRatio)
    if (!size) return
    if (pad.width !== size) {
      pad.width = pad.height = size
      ground = null
    }
    if (!ground) drawGround()
    const pen = pad.getContext("2d")
    pen.clearRect(0, 0, size, size)
    pen.drawImage(ground, 0, 0)
    const scale = devicePixelRatio
    pen.strokeStyle = pen.fillStyle = theme("--st-text-color")
    pen.font = `600 ${13 * scale}px ${theme("--st-font")}`
    pen.textAlign = "center"
    if (data.endless) drawLattice(pen, scale)
    for (const [u, v, name] of views[0].marks) mark(pen, [u, v], name, scale)
    state.pins.forEach((pin, number) => pin.here && mark(pen, onPad(pin.at), String(number + 1), scale))
    pen.lineWidth = 2 * scale
    for (let i = 1; i < state.trail.length; i++) {
      pen.globalAlpha = (0.6 * i) / state.trail.length
      pen.beginPath()
      pen.moveTo(...toPad(state.trail[i - 1]))
      pen.lineTo(...toPad(state.trail[i]))
      pen.stroke()
    }
    pen.globalAlpha = 1
    const [x, y] = toPad(state.at)
    pen.beginPath()
    pen.arc(x, y, 7 * scale, 0, 7)
    pen.stroke()
  }
  function drawLattice(pen, scale) {
    for (let i = Math.ceil(state.centre[0] - LATTICE); i <= state.centre[0] + LATTICE; i++)
      for (let j = Math.ceil(state.centre[1] - LATTICE); j <= state.centre[1] + LATTICE; j++) {
        const [x, y] = toPad([(i - state.centre[0]) / LATTICE, (j - state.centre[1]) / LATTICE])
        pen.globalAlpha = 0.5
        pen.beginPath()
        pen.arc(x, y, 3 * scale, 0, 7)
        pen.fill()
        pen.globalAlpha = 1
      }
  }
  function mark(pen, at, name, scale) {
    const [x, y] = toPad(at)
    pen.beginPath()
    pen.arc(x, y, 4 * scale, 0, 7)
    pen.fill()
    pen.fillText(name, x, y - 9 * scale)
  }

  const clip = (value) => Math.min(1, Math.max(-1, value))
  const from = (event) => {
    const box = pad.getBoundingClientRect()
    return [clip(((event.clientX - box.left) / box.width) * 2 - 1), clip(1 - ((event.clientY - box.top) / box.height) * 2)]
  }
  function move(at) {
    letGo()
    state.at = at
    state.trail.push(at)
    if (state.trail.length > TRAIL) state.trail.shift()
    follow()
  }
  function release() {
    keep()
    intoTheAddress("at", place().join())
    setStateValue("at", place())
  }

  let start = null
  pad.onpointerdown = (event) => {
    if (start || event.button || event.ctrlKey) return // one hand at a time; a menu swallows the end
    pad.setPointerCapture(event.pointerId)
    start = { id: event.pointerId, at: from(event), centre: [...state.centre] }
    move(from(event))
  }
  pad.onpointermove = (event) => {
    if (start && event.pointerId !== start.id) return
    const at = from(event)
    if (start && data.endless) {
      state.centre = [0, 1].map((k) => start.centre[k] - (at[k] - start.at[k]) * LATTICE)
      state.trail = []
    }
    move(at)
  }
  pad.onpointerup = pad.onpointercancel = pad.onlostpointercapture = (event) => {
    if (event.pointerId !== start?.id) return
    start = null
    release()
  }
  pad.onpointerleave = () => {
    if (start) return
    Object.assign(state, state.kept, { trail: [] })
    press()
    follow()
  }
  pad.ondblclick = () => pin()
  const WAYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }
  pad.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "Enter") return pin()
    if (!WAYS[event.key]) return
    event.preventDefault()
    if (data.endless) {
      state.centre = [0, 1].map((k) => state.centre[k] + WAYS[event.key][k] * LATTICE)
      move(state.at)
    } else move([0, 1].map((k) => clip(state.at[k] + WAYS[event.key][k])))
  }
  pad.onkeyup = (event) => {
    if (!WAYS[event.key]) return
    release()
    speak()
  }

  // --- pins and dials ---

  function made({ at, codes }) {
    const here = apart(views[0], codes[0], codeOf(views[0], at)) < SAME // not where sliders were turned
    const pictures = views.map((view) => {
      const canvas = document.createElement("canvas")
      ;[canvas.width, canvas.height] = [view.shape[2], view.shape[1]]
      return canvas
    })
    return { at, codes, here, pictures, drawn: false }
  }
  // A pin has codes at once; its pictures come when there is something that decodes.
  async function develop(pin, by) {
    const pictures = await by.decode(pin.codes)
    views.forEach((view, number) => paint(pin.pictures[number], view, pictures[number], by.scale))
    pin.drawn = true
  }
  function pin() {
    state.pins.push(made({ at: place(), codes: shownCodes() }))
    if (state.pins.length > 24) state.pins.shift()
    tell()
    follow()
  }
  function takeOut(pin) {
    state.pins = state.pins.filter((one) => one !== pin)
    forget()
    tell()
    pad.focus({ preventScroll: true })
    follow()
  }
  function show(pin) {
    if (pin.here) goTo(pin.at)
    state.pin = pin
    state.trail = []
    press()
    release()
    follow()
  }
  function letGo() {
    state.pin = null
    press()
  }
  function forget() {
    state.kept.pin = null // or it came back when the pointer leaves the pad
    letGo()
  }
  function press() {
    for (const [number, one] of [...tray.children].entries()) one.firstChild.setAttribute("aria-pressed", state.pins[number] === state.pin)
  }

  function tell() {
    showTray()
    setStateValue("pins", state.pins.map((one) => ({ at: one.at, codes: one.codes.map((z) => [...z]) })))
  }
  function showTray() {
    tray.replaceChildren(...state.pins.map(entry))
    press()
    drawPad()
  }
  function entry(pin, number) {
    const element = document.createElement("div")
    const badge = document.createElement("span")
    badge.textContent = number + 1
    const picture = button(`Show pin ${number + 1}`, () => show(pin))
    picture.append(...pin.pictures, badge)
    const out = button(`Take pin ${number + 1} out`, () => takeOut(pin))
    out.textContent = "×"
    element.append(picture, out)
    return element
  }
  function button(title, onclick) {
    const element = document.createElement("button")
    Object.assign(element, { type: "button", title, onclick })
    element.setAttribute("aria-label", title)
    return element
  }
  function givenBack() {
    for (const { at, codes } of data.pins) state.pins.push(made({ at, codes: codes.map((z) => Float32Array.from(z)) }))
    showTray()
  }

  function makeDials() {
    const telling = root.querySelector(".dials")
    const folded = root.querySelector("details")
    const rest = folded.querySelector(".dials")
    for (const view of views)
      for (const [place, [k, name, low, high]] of view.dials.entries()) {
        const list = place < DIALS ? telling : rest
        if (views.length > 1 && (place === 0 || place === DIALS)) {
          const head = document.createElement("h5")
          head.textContent = view.title
          head.style.borderColor = view.colour
          list.append(head)
        }
        const [label, input, sum] = ["label", "input", "span"].map((tag) => document.createElement(tag))
        const whose = `${view.title}: added to ${name}`
        input.type = "range"
        input.step = "any"
        const reach = (high - low) / 2
        input.min = -reach
        input.max = reach
        const set = (value) => {
          input.value = value
          sum.textContent = written(value)
          input.setAttribute("aria-valuetext", sum.textContent)
        }
        const turn = (value) => {
          set(value)
          view.turned.set(k, value)
          forget()
          follow()
        }
        input.oninput = () => turn(Number(input.value))
        input.ondblclick = () => turn(0)
        input.onkeydown = (event) => {
          if (event.key === "Delete" || event.key === "Backspace") turn(0)
        }
        input.setAttribute("aria-label", whose)
        label.title = `${whose}; a double click or Delete takes it back`
        set(0)
        label.append(name, input, sum)
        list.append(label)
      }
    const count = rest.querySelectorAll("label").length
    folded.hidden = !count
    folded.querySelector("summary").textContent = `${count} more numbers, which say less`
  }

  const observer = new ResizeObserver(() => follow())
  observer.observe(pad)
  told.textContent = "Getting the decoders…"
  givenBack()
  choosing = choose()
  return {
    signature,
    answer: (frame) => engine?.answer?.(frame),
    redraw() {
      ground = null
      drawPad()
    },
    end() {
      ended = true
      observer.disconnect()
      engine?.end()
    },
  }
}

async function fetched(url) {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`)
  return new Uint8Array(await answer.arrayBuffer())
}
