import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filtered, histogram, type Row, sorted } from '../src/table.ts'

const none = { age: '', age_days: null, remarks: '', warnings: '', changes: '', has_page: true }
const rows: Row[] = [
  { ...none, case: 'scan-10', is_done: true, quality: 0.9, crown_rump_length_mm: 60, age_days: 87 },
  { ...none, case: 'scan-2', is_done: true, quality: 0.2, crown_rump_length_mm: 80, remarks: 'left and right are uncertain' },
  { ...none, case: 'broken', is_done: false, quality: null, crown_rump_length_mm: null, remarks: 'no volume' },
  { ...none, case: 'scan-1', is_done: true, quality: 0.9, crown_rump_length_mm: null, warnings: 'spacing assumed' },
]
const cases = (list: Row[]) => list.map((row) => row.case)
const all = { search: '', show: 'all', range: null } as const

test('the worst cases come first, equal ones by their names and numbers', () => {
  assert.deepEqual(cases(sorted(rows, 'quality', false)), ['broken', 'scan-2', 'scan-1', 'scan-10'])
  assert.deepEqual(cases(sorted(rows, 'quality', true)), ['scan-1', 'scan-10', 'scan-2', 'broken'])
  assert.deepEqual(cases(sorted(rows, 'case', false)), ['broken', 'scan-1', 'scan-2', 'scan-10'])
})

test('every word of a search must occur, in the name or in a remark', () => {
  assert.deepEqual(cases(filtered(rows, { ...all, search: ' RIGHT scan ' })), ['scan-2'])
  assert.deepEqual(cases(filtered(rows, { ...all, search: 'spacing' })), ['scan-1'])
})

test('each kind shows its cases', () => {
  const shown = (show: 'failed' | 'doubtful' | 'warned' | 'clear') => cases(filtered(rows, { ...all, show }))
  assert.deepEqual(shown('failed'), ['broken'])
  assert.deepEqual(shown('doubtful'), ['scan-2'])
  assert.deepEqual(shown('warned'), ['scan-1'])
  assert.deepEqual(shown('clear'), ['scan-10'])
})

test('the bins hold every known value once, also those beyond the ends', () => {
  const bins = histogram([-5, 0, 0.1, 0.5, 0.99, 1, 7, null], 0, 1, 4)
  assert.deepEqual(bins.map((bin) => bin.count), [3, 0, 1, 3])
  assert.deepEqual([bins[0]?.low, bins[1]?.low, bins[3]?.high], [-Infinity, 0.25, Infinity])
  const range = { column: 'quality', low: bins[3]!.low, high: bins[3]!.high } as const
  assert.deepEqual(cases(filtered(rows, { ...all, range })), ['scan-10', 'scan-1'])
})

test('a value on an edge lies in the bin that begins there', () => {
  for (let n = 1; n < 20; n++) {
    const bins = histogram([n / 20], 0, 1, 20)
    assert.equal(bins.findIndex((bin) => bin.count === 1), n)
    assert.ok((bins[n] as { low: number }).low <= n / 20)
  }
})
