/** Where a length lies on a growth chart at an age that is known independently of it. */

import type { Chart } from './data.ts'

/** Centile, 0 to 100, of a length at an age in days; null if the chart does not cover the age. */
export function centileAt(chart: Chart, lengthMm: number, days: number): number | null {
  const row = Math.round(days) - chart.first_day
  const [mean, sd] = [chart.mean_mm[row], chart.sd_mm[row]]
  if (mean === undefined || sd === undefined) return null
  return 100 * normalShare((lengthMm - mean) / sd)
}

/** "below the 1st centile", "on the 12th centile", "above the 99th centile". */
export function centileInWords(centile: number): string {
  if (centile < 1) return 'below the 1st centile'
  if (centile > 99) return 'above the 99th centile'
  const number = Math.round(centile)
  const ending = { 1: 'st', 2: 'nd', 3: 'rd' }[number % 10] ?? 'th'
  return `on the ${number}${number >= 11 && number <= 13 ? 'th' : ending} centile`
}

/** Share of a normal distribution below z, by Marsaglia's series; exact to 1e-9 for |z| < 6. */
export function normalShare(z: number): number {
  if (Math.abs(z) > 6) return z > 0 ? 1 : 0
  let term = z
  let sum = z
  for (let n = 3; Math.abs(term) > 1e-12; n += 2) {
    term *= (z * z) / n
    sum += term
  }
  return 0.5 + (sum * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI)
}
