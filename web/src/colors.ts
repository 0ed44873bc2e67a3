/** Colours of confidences: dark violet to yellow, in steps of equal lightness (after cividis). */

export type Rgb = readonly [number, number, number]

const STOPS: readonly Rgb[] = [
  [99, 52, 138],
  [160, 60, 120],
  [214, 92, 92],
  [243, 146, 70],
  [252, 206, 84],
  [253, 246, 172],
]

/** Colour of a confidence in [0, 1]. */
export function confidenceColor(confidence: number): Rgb {
  const place = Math.min(Math.max(confidence, 0), 1) * (STOPS.length - 1)
  const row = Math.min(Math.floor(place), STOPS.length - 2)
  const [low, high] = [STOPS[row] as Rgb, STOPS[row + 1] as Rgb]
  const mix = (axis: 0 | 1 | 2) => Math.round(low[axis] + (place - row) * (high[axis] - low[axis]))
  return [mix(0), mix(1), mix(2)]
}

/** Parse "#rrggbb". */
export function rgbOf(color: string): Rgb {
  const number = Number.parseInt(color.slice(1), 16)
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255]
}
