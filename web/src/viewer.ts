/** The one place that knows NiiVue: slices, volume rendering and skeleton in one canvas. */

import { MULTIPLANAR_TYPE, Niivue, SHOW_RENDER, SLICE_TYPE } from '@niivue/niivue'
import { confidenceColor, rgbOf, type Rgb } from './colors.ts'
import type { CaseData, Position } from './data.ts'
import { flipFrame, graphOf, SELECTED_VALUE } from './skeleton.ts'

const NODE_RADIUS_MM = 1.3
const EDGE_RADIUS_MM = 0.45
const SLAB_MM = 4
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
  const nv = new Niivue({
    backColor: [0.07, 0.086, 0.114, 1],
    crosshairColor: [1, 0.82, 0.4, 0.7],
    crosshairWidth: 0.6,
    crosshairGap: 6,
    show3Dcrosshair: false,
    multiplanarLayout: MULTIPLANAR_TYPE.GRID,
    multiplanarShowRender: SHOW_RENDER.ALWAYS,
    multiplanarEqualSize: true,
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
  addColormaps(nv, pose.colors)
  await nv.loadFromArrayBuffer(nifti, 'volume.nii.gz')
  for (const volume of nv.volumes) [volume.cal_min, volume.cal_max] = [0, 255]
  nv.updateGLVolume()
  nv.setSliceType(SLICE_TYPE.MULTIPLANAR)

  const draw = (selected: number | null) => {
    const graph = graphOf(pose.landmarks, pose.segments, selected)
    for (const mesh of nv.meshes.slice()) nv.removeMesh(mesh)
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
    arrange(layout) {
      const [type, render] = LAYOUTS[layout]
      nv.opts.multiplanarShowRender = render
      nv.setSliceType(type)
    },
    showVolumeIn3d(visible) {
      nv.opts.meshXRay = visible ? 0.35 : 1
      nv.drawScene()
    },
  }
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
