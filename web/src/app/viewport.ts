/** Slices and 3D view in which landmarks can be picked, dragged and placed. */

import type { Niivue } from '@niivue/niivue'
import type { CaseData, Position, Side } from '../data.ts'
import { flipFrame } from '../skeleton.ts'
import { arrangeViews, drawPose, type Layout, SLAB_MM, showVolume, startNiivue } from '../viewer.ts'
import { drawHandles } from './handles.ts'
import { hitRow, placeOf, pointAt, projectionTile, sliceTile, type Tile, tileAt } from './tiles.ts'

/** Pixels around a landmark in which a pointer grabs it; fingers need more. */
const GRAB_PX = { mouse: 12, touch: 24 }
const MAX_ZOOM = 8
/** An enlarged view follows the crosshair into this share of its sides. */
const EDGE = 0.15
const FULL_RANGE = 255
/** Where a drawing takes longer, only the rings follow a pointer at once, and the rest when it rests. */
const SLOW_MS = 60
const REST_MS = 150

export interface Scene extends Pick<CaseData, 'landmarks' | 'segments'> {
  readonly selected: number | null
  /** Where the selected landmark was predicted, or null. */
  readonly predicted: Position | null
  readonly isLocked: boolean
}

export interface Hooks {
  select(row: number): void
  /** The landmark follows the pointer. */
  drag(row: number, position: Position): void
  /** The pointer let the landmark go. */
  drop(row: number, position: Position): void
  place(position: Position): void
}

interface Drag {
  readonly row: number
  readonly tile: Tile
  readonly start: readonly [number, number]
  readonly offset: readonly [number, number]
  readonly depthMm: number
  position: Position
  hasMoved: boolean
}

export class Viewport {
  private readonly nv: Niivue
  private readonly box: HTMLElement
  private readonly overlay: HTMLCanvasElement
  private readonly hooks: Hooks
  placing = false
  private scene: Scene = { landmarks: [], segments: [], selected: null, predicted: null, isLocked: true }
  private drag: Drag | null = null
  private frame = 0
  private zoom = 1
  private isHeld = false
  private drawingMs = 0
  private resting = 0

  private constructor(
    nv: Niivue,
    box: HTMLElement,
    overlay: HTMLCanvasElement,
    hooks: Hooks,
  ) {
    this.nv = nv
    this.box = box
    this.overlay = overlay
    this.hooks = hooks
  }

  /** Start the viewer in an element that holds its canvas and the canvas of the handles. */
  static async start(box: HTMLElement, colors: Record<Side, string>, hooks: Hooks): Promise<Viewport> {
    const [canvas, overlay] = [...box.querySelectorAll('canvas')] as [HTMLCanvasElement, HTMLCanvasElement]
    const nv = await startNiivue(canvas, colors)
    nv.opts.viewModeHotKey = nv.opts.clipPlaneHotKey = nv.opts.cycleClipPlaneHotKey = ''
    const viewport = new Viewport(nv, box, overlay, hooks)
    const drawScene = nv.drawScene.bind(nv)
    nv.drawScene = () => {
      if (viewport.isHeld) return
      drawScene()
      viewport.drawOverlay()
      viewport.measure()
    }
    viewport.listen()
    return viewport
  }

  /** Load another volume; it is shown with the next landmarks that are drawn. */
  async load(nifti: ArrayBuffer): Promise<void> {
    this.zoom = 1
    this.nv.scene.pan2Dxyzmm = [0, 0, 0, 1]
    this.isHeld = true
    await showVolume(this.nv, nifti)
  }

  /** Draw the landmarks, with the crosshair at a point (LPS mm) if one is given. */
  draw(scene: Scene, at: Position | null = null): void {
    this.scene = scene
    window.clearTimeout(this.resting)
    this.isHeld = true
    drawPose(this.nv, scene, scene.selected)
    this.isHeld = false
    if (at === null) this.nv.drawScene()
    else this.lookAt(at)
  }

  /** Draw landmarks one of which follows the pointer. */
  follow(scene: Scene, at: Position): void {
    this.scene = scene
    this.drawOverlay()
    window.clearTimeout(this.resting)
    const draw = () => {
      this.nv.scene.crosshairPos = this.nv.mm2frac(flipFrame(at), 0, true)
      drawPose(this.nv, scene, scene.selected)
    }
    if (this.drawingMs <= SLOW_MS) draw()
    else this.resting = window.setTimeout(draw, Math.max(REST_MS, 2 * this.drawingMs))
  }

  /** Move the crosshair to a point (LPS mm); an enlarged view follows where it must. */
  lookAt(point: Position): void {
    this.nv.scene.crosshairPos = this.nv.mm2frac(flipFrame(point), 0, true)
    if (this.zoom === 1 || this.drag !== null || this.isInSight(point)) this.nv.drawScene()
    else this.applyZoom()
  }

  private isInSight(point: Position): boolean {
    return this.tiles().every((tile) => {
      const { x, y } = placeOf(tile, point)
      const isInside = (at: number, from: number, size: number) =>
        at > from + EDGE * size && at < from + (1 - EDGE) * size
      return tile.kind === '3d' || (isInside(x, tile.left, tile.width) && isInside(y, tile.top, tile.height))
    })
  }

  /** The point under the crosshair, LPS mm. */
  crosshair(): Position {
    const [x, y, z] = this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true) as unknown as Position
    return flipFrame([x, y, z])
  }

  arrange(layout: Layout): void {
    arrangeViews(this.nv, layout)
  }

  /** Enlarge the slices around the crosshair by a factor; 0 shows all of them again. */
  enlarge(factor: number): void {
    this.zoom = factor === 0 ? 1 : Math.min(Math.max(this.zoom * factor, 1), MAX_ZOOM)
    this.applyZoom()
  }

  /** Show values as dark to bright: brightness from -100 to 100, contrast 1 for all values. */
  setContrast(brightness: number, contrast: number): void {
    const center = FULL_RANGE * (0.5 - brightness / 200)
    const half = FULL_RANGE / contrast / 2
    for (const volume of this.nv.volumes) {
      ;[volume.cal_min, volume.cal_max] = [center - half, center + half]
    }
    this.nv.updateGLVolume()
  }

  /** Where each view shows a point (LPS mm), in pixels of the page, and how far it lies from it. */
  pixelsOf(point: Position): { kind: Tile['kind']; x: number; y: number; depthMm: number }[] {
    const { left, top } = this.box.getBoundingClientRect()
    return this.tiles().map((tile) => {
      const { x, y, depthMm } = placeOf(tile, point)
      return { kind: tile.kind, x: x + left, y: y + top, depthMm }
    })
  }

  /** Measure how long a drawing takes: the graphics card is done with it two frames later. */
  private measure(): void {
    const start = performance.now()
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        this.drawingMs = performance.now() - start
      }),
    )
  }

  private applyZoom(): void {
    const { nv, zoom } = this
    const [center, at] = [nv.frac2mm([0.5, 0.5, 0.5]), nv.frac2mm(nv.scene.crosshairPos)]
    const pan = (axis: number) => (zoom === 1 ? 0 : (center[axis] ?? 0) - (at[axis] ?? 0) * zoom)
    nv.setPan2Dxyzmm([pan(0), pan(1), pan(2), zoom])
  }

  private tiles(): Tile[] {
    const { nv } = this
    const ratio = nv.uiData.dpr ?? 1
    return nv.screenSlices.flatMap((slice, index) => {
      const [left = 0, top = 0, width = 0, height = 0] = slice.leftTopWidthHeight
      if (width <= 0 || height <= 0) return []
      const box = [left / ratio, top / ratio, width / ratio, height / ratio] as const
      if (slice.axCorSag > 2) return [projectionTile(box, this.projection([left, top, width, height]))]
      return [
        sliceTile(box, (x, y) => {
          // A pixel on the very edge may be rounded out of the tile.
          const inside = (value: number, from: number, size: number) =>
            Math.min(Math.max(value * ratio, from + 0.01), from + size - 0.01)
          const pixel = [inside(x, left, width), inside(y, top, height)] as const
          const frac = nv.screenXY2TextureFrac(pixel[0], pixel[1], index, false)
          const [a, b, c] = nv.frac2mm(frac, 0, true) as unknown as Position
          return flipFrame([a, b, c])
        }),
      ]
    })
  }

  /** How the 3D view maps points (LPS mm) to pixels of the page. */
  private projection(box: number[]): (point: Position) => [number, number] {
    const { nv } = this
    const ratio = nv.uiData.dpr ?? 1
    const [left = 0, top = 0, width = 0, height = 0] = box
    const { renderAzimuth, renderElevation } = nv.scene
    const m = nv.calculateMvpMatrix({}, box, renderAzimuth, renderElevation)[0] as unknown as number[]
    const row = (n: number, [x, y, z]: Position) =>
      (m[n] ?? 0) * x + (m[n + 4] ?? 0) * y + (m[n + 8] ?? 0) * z + (m[n + 12] ?? 0)
    return (point) => {
      const at = flipFrame(point)
      const x = left + ((row(0, at) + 1) / 2) * width
      const y = top + ((1 - row(1, at)) / 2) * height
      return [x / ratio, y / ratio]
    }
  }

  private drawOverlay(): void {
    const { landmarks, selected, predicted } = this.scene
    const points = landmarks.map((landmark) => landmark.position_mm)
    drawHandles(this.overlay, this.box, this.tiles(), { points, selected, predicted, slabMm: SLAB_MM })
  }

  private listen(): void {
    const { box } = this
    box.addEventListener('pointerdown', (event) => this.press(event), { capture: true })
    box.addEventListener('pointermove', (event) => this.move(event), { capture: true })
    box.addEventListener('pointerup', (event) => this.release(event), { capture: true })
    box.addEventListener('pointercancel', () => this.cancel(), { capture: true })
    // The viewer's own handlers turn and scroll; they hear nothing of a drag.
    for (const kind of ['mousedown', 'mousemove', 'touchstart', 'touchmove']) {
      box.addEventListener(
        kind,
        (event) => {
          if (this.drag === null && !this.placing) return
          event.preventDefault()
          event.stopPropagation()
        },
        { capture: true, passive: false },
      )
    }
  }

  private press(event: PointerEvent): void {
    if (event.button !== 0 || this.scene.isLocked) return
    const [x, y] = this.pixelOf(event)
    const tile = tileAt(this.tiles(), x, y)
    if (tile === null) return
    if (this.placing) {
      if (tile.kind === 'slice') this.hooks.place(pointAt(tile, { x, y, depthMm: 0 }))
      return
    }
    const points = this.scene.landmarks.map((landmark) => landmark.position_mm)
    const radius = event.pointerType === 'mouse' ? GRAB_PX.mouse : GRAB_PX.touch
    const row = hitRow(tile, points, x, y, { radius, slabMm: SLAB_MM }, this.scene.selected)
    const position = row === null ? null : (points[row] ?? null)
    if (row === null || position === null) return
    const place = placeOf(tile, position)
    const offset = [place.x - x, place.y - y] as const
    const { depthMm } = place
    this.drag = { row, tile, start: [x, y], offset, depthMm, position, hasMoved: false }
    this.box.setPointerCapture(event.pointerId)
    this.hooks.select(row)
  }

  private move(event: PointerEvent): void {
    const { drag } = this
    if (drag === null) return
    const [x, y] = this.pixelOf(event)
    if (!drag.hasMoved && Math.hypot(x - drag.start[0], y - drag.start[1]) < 3) return
    drag.hasMoved = true
    const place = { x: x + drag.offset[0], y: y + drag.offset[1], depthMm: drag.depthMm }
    drag.position = pointAt(drag.tile, place)
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.report())
  }

  private report(): void {
    this.frame = 0
    if (this.drag?.hasMoved) this.hooks.drag(this.drag.row, this.drag.position)
  }

  private release(event: PointerEvent): void {
    const { drag } = this
    if (drag === null) return
    this.move(event)
    this.drag = null
    cancelAnimationFrame(this.frame)
    this.frame = 0
    if (drag.hasMoved) this.hooks.drop(drag.row, drag.position)
  }

  /** Stop a drag where it began. */
  cancel(): void {
    const { drag } = this
    this.drag = null
    const back = drag === null ? null : pointAt(drag.tile, { ...placeAtStart(drag), depthMm: drag.depthMm })
    if (drag !== null && back !== null) this.hooks.drag(drag.row, back)
  }

  private pixelOf(event: PointerEvent): [number, number] {
    const { left, top } = this.box.getBoundingClientRect()
    return [event.clientX - left, event.clientY - top]
  }
}

function placeAtStart({ start, offset }: Drag): { x: number; y: number } {
  return { x: start[0] + offset[0], y: start[1] + offset[1] }
}
