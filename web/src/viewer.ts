/** The one place that knows NiiVue: slices, volume rendering and skeleton in one canvas. */

import { MULTIPLANAR_TYPE, Niivue, SHOW_RENDER, SLICE_TYPE } from '@niivue/niivue'
import { confidenceColor, rgbOf, type Rgb } from './colors.ts'
import type { CaseData, Position } from './data.ts'
import { flipFrame, graphOf, SELECTED_VALUE } from './skeleton.ts'

const NODE_RADIUS_MM = 1.7
const EDGE_RADIUS_MM = 0.75
/** Slices show the skeleton as far as this from them. */
export const SLAB_MM = 4
const NODE_STEPS = 32

export type Layout = 'all' | 'slices' | '3d'

const LAYOUTS: Readonly<Record<Layout, [SLICE_TYPE, SHOW_RENDER]>> = {
  all: [SLICE_TYPE.MULTIPLANAR, SHOW_RENDER.ALWAYS],
  slices: [SLICE_TYPE.MULTIPLANAR, SHOW_RENDER.NEVER],
  '3d': [SLICE_TYPE.RENDER, SHOW_RENDER.ALWAYS],
}

export interface Viewer {
  /** Move the crosshair to a point (LPS mm); the slices follow. */
  lookAt(point: Position): void
  /** Mark a landmark by its row, or none. */
  select(row: number | null): void
  /** Show slices, the 3D view, or both. */
  arrange(layout: Layout): void
  /** Draw the skeleton alone in 3D, or in the rendered volume. */
  showVolumeIn3d(visible: boolean): void
}

/** Whether this browser can draw with WebGL 2, which NiiVue needs and does not check. */
export function canDraw(): boolean {
  try {
    return document.createElement('canvas').getContext('webgl2') !== null
  } catch {
    return false
  }
}

/**
 * Show a volume and a pose.
 *
 * @param nifti the volume as a `.nii.gz` file
 * @param onMove called with the place of the crosshair (LPS mm) whenever the reader moves it
 */
export async function openViewer(
  canvas: HTMLCanvasElement,
  nifti: ArrayBuffer,
  pose: Pick<CaseData, 'landmarks' | 'segments' | 'colors'>,
  onMove: (point: Position) => void,
): Promise<Viewer> {
  const nv = await startNiivue(canvas, pose.colors)
  await showVolume(nv, nifti)
  const draw = (selected: number | null) => drawPose(nv, pose, selected)
  draw(null)
  nv.onLocationChange = (location) => {
    const [x, y, z] = (location as { mm: number[] }).mm
    if (x === undefined || y === undefined || z === undefined) return
    onMove(flipFrame([x, y, z]))
  }
  return {
    lookAt(point) {
      nv.scene.crosshairPos = nv.mm2frac(flipFrame(point))
      nv.drawScene()
    },
    select: draw,
    arrange: (layout) => arrangeViews(nv, layout),
    showVolumeIn3d(visible) {
      nv.opts.meshXRay = visible ? 0.35 : 1
      nv.drawScene()
    },
  }
}

/** Start NiiVue in a canvas, with the look of all pages. */
export async function startNiivue(
  canvas: HTMLCanvasElement,
  colors: CaseData['colors'],
): Promise<Niivue> {
  const nv = new Niivue({
    backColor: [0.07, 0.086, 0.114, 1],
    crosshairColor: [1, 0.82, 0.4, 0.7],
    crosshairWidth: 0.6,
    crosshairGap: 6,
    show3Dcrosshair: false,
    sliceType: SLICE_TYPE.MULTIPLANAR,
    multiplanarLayout: MULTIPLANAR_TYPE.GRID,
    multiplanarShowRender: SHOW_RENDER.ALWAYS,
    multiplanarPadPixels: 6,
    tileMargin: 4,
    fontMinPx: 16,
    meshThicknessOn2D: SLAB_MM,
    meshXRay: 0.35,
    isColorbar: false,
    showLegend: false,
    isOrientationTextVisible: true,
    dragAndDropEnabled: false,
    scrollRequiresFocus: true,
    loadingText: '',
    logLevel: 'silent',
  })
  await nv.attachToCanvas(canvas)
  addColormaps(nv, colors)
  return nv
}

/** Show a volume, a `.nii.gz` file, in place of the one before. */
export async function showVolume(nv: Niivue, nifti: ArrayBuffer): Promise<void> {
  for (const volume of nv.volumes.slice()) nv.removeVolume(volume)
  await nv.loadFromArrayBuffer(nifti, 'volume.nii.gz')
  for (const volume of nv.volumes) [volume.cal_min, volume.cal_max] = [0, 255]
  nv.updateGLVolume()
}

/** Draw a pose, whose selected landmark is larger, in place of the one before. */
export function drawPose(
  nv: Niivue,
  pose: Pick<CaseData, 'landmarks' | 'segments'>,
  selected: number | null,
): void {
  const graph = graphOf(pose.landmarks, pose.segments, selected)
  const [mesh] = nv.meshes
  if (mesh !== undefined && graph.nodes.length > 0) {
    // Adding a mesh would transfer the volume to the graphics card again.
    Object.assign(mesh, graph)
    mesh.updateMesh(nv.gl)
    nv.drawScene()
    return
  }
  for (const old of nv.meshes.slice()) nv.removeMesh(old)
  if (graph.nodes.length === 0) return
  nv.addMesh(
    nv.loadConnectomeAsMesh({
      name: 'pose',
      nodeColormap: 'fetusmap-nodes',
      nodeColormapNegative: 'fetusmap-nodes',
      nodeMinColor: 1,
      nodeMaxColor: SELECTED_VALUE,
      nodeScale: NODE_RADIUS_MM,
      edgeColormap: 'fetusmap-sides',
      edgeColormapNegative: 'fetusmap-sides',
      edgeMin: 1,
      edgeMax: 1.02,
      edgeScale: EDGE_RADIUS_MM,
      legendLineThickness: 0,
      showLegend: false,
      ...graph,
    }),
  )
}

/** Show slices, the 3D view, or both. */
export function arrangeViews(nv: Niivue, layout: Layout): void {
  const [type, render] = LAYOUTS[layout]
  nv.opts.multiplanarShowRender = render
  nv.setSliceType(type)
}

function addColormaps(nv: Niivue, colors: CaseData['colors']): void {
  nv.addColormap('fetusmap-sides', colormapOf([colors.left, colors.right, colors.midline].map(rgbOf)))
  // Confidences take the lower part of the range; its upper end is the selected landmark.
  const upTo = 1 / (SELECTED_VALUE - 1)
  const steps = Array.from({ length: NODE_STEPS + 1 }, (_, n) =>
    n === NODE_STEPS ? ([255, 255, 255] as const) : confidenceColor(n / NODE_STEPS / upTo),
  )
  nv.addColormap('fetusmap-nodes', colormapOf(steps))
}

function colormapOf(colors: readonly Rgb[]): Record<'R' | 'G' | 'B' | 'A' | 'I', number[]> {
  const last = colors.length - 1
  return {
    R: colors.map((color) => color[0]),
    G: colors.map((color) => color[1]),
    B: colors.map((color) => color[2]),
    A: colors.map(() => 255),
    I: colors.map((_, n) => (n === last ? 255 : Math.round((n * 256) / last))),
  }
}
