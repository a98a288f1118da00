import { expect, test } from 'vitest'
import { alignColumns, alignedLines } from '../src/text_table.js'

const rows = [
  ['list', 'frames', 'note'],
  ['train.json', '7', ''],
  ['a', '1234567'],
]

test('the first column to the left, the others to the right, nothing at the ends', () => {
  expect(alignColumns(rows)).toBe(
    '  list         frames  note\n  train.json        7\n  a           1234567\n',
  )
})

test('as many columns to the left as asked for, line by line', () => {
  expect(alignedLines(rows, { indent: '', left: 3 })).toEqual([
    'list        frames   note\n',
    'train.json  7\n',
    'a           1234567\n',
  ])
  expect(alignedLines([])).toEqual([])
})
