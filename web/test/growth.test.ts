import assert from 'node:assert/strict'
import { test } from 'node:test'
import { centileAt, centileInWords, normalShare } from '../src/growth.ts'

test('shares of the normal distribution are those of the printed tables', () => {
  const table: [number, number][] = [[0, 0.5], [1, 0.841345], [-1, 0.158655], [1.96, 0.975002], [-3, 0.00135]]
  for (const [z, share] of table) assert.ok(Math.abs(normalShare(z) - share) < 1e-6, `${z}`)
  assert.deepEqual([normalShare(-40), normalShare(40)], [0, 1])
})

test('a length of one deviation above the mean of its day lies on the 84th centile', () => {
  const chart = { first_day: 58, mean_mm: [10, 20], sd_mm: [1, 2] }
  assert.ok(Math.abs((centileAt(chart, 22, 59) ?? 0) - 84.1345) < 1e-3)
  assert.equal(centileAt(chart, 22, 57), null)
  assert.equal(centileAt(chart, 22, 60), null)
})

test('centiles have their ordinals', () => {
  assert.equal(centileInWords(1), 'on the 1st centile')
  assert.equal(centileInWords(12.2), 'on the 12th centile')
  assert.equal(centileInWords(22), 'on the 22nd centile')
  assert.equal(centileInWords(93), 'on the 93rd centile')
  assert.equal(centileInWords(0.2), 'below the 1st centile')
})
