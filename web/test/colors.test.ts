import assert from 'node:assert/strict'
import { test } from 'node:test'
import { confidenceColor, rgbOf } from '../src/colors.ts'

const luminance = ([r, g, b]: readonly number[]) => 0.2126 * r! + 0.7152 * g! + 0.0722 * b!

test('a higher confidence is always lighter, so that no colour vision is needed to order them', () => {
  const light = Array.from({ length: 21 }, (_, n) => luminance(confidenceColor(n / 20)))
  for (let n = 1; n < light.length; n++) assert.ok(light[n]! > light[n - 1]!, `step ${n}`)
})

test('colours are read as they are written', () => {
  assert.deepEqual(rgbOf('#3b8bd9'), [59, 139, 217])
})
