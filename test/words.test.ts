import { describe, expect, it } from 'vitest'
import { count, nearest } from '../src/words.js'

describe('count', () => {
  it.each([
    [1, 'scan', '1 scan'],
    [0, 'scan', '0 scans'],
    [2, 'true box', '2 true boxes'],
    [3, 'CT series', '3 CT series'],
    [1, 'study', '1 study'],
    [2, 'study', '2 studies'],
    [2, 'day', '2 days'],
    [2, 'loss', '2 losses'],
    [2, 'batch', '2 batches'],
  ])('%d %s: %s', (number, noun, text) => expect(count(number, noun)).toBe(text))
})

describe('nearest', () => {
  const names = ['detect', 'dump', 'doctor', 'train', 'series', 'to-xml']
  it.each([
    ['detct', 'detect'],
    ['dtect', 'detect'],
    ['dteect', 'detect'],
    ['dumb', 'dump'],
    ['dmup', 'dump'],
    ['serie', 'series'],
    ['toxml', 'to-xml'],
    ['evaluate', undefined],
    ['x', undefined],
  ])('%s: %s', (word, name) => expect(nearest(word, names)).toBe(name))
})
