import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { indexAnnotations, xmlHead } from '../../src/annotations/index.js'
import { message, session } from './xml.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nodule-find-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const text = message(session()).replace('UTF-8', 'UTF-16')
const little = Buffer.from(text, 'utf16le')

it.each<[string, Buffer]>([
  ['UTF-8', Buffer.from(message(session()))],
  ['UTF-16 little endian with its mark', Buffer.concat([Buffer.from('fffe', 'hex'), little])],
  ['UTF-16 little endian', little],
  ['UTF-16 big endian with its mark', Buffer.concat([Buffer.from('fffe', 'hex'), little]).swap16()],
])('the head of an XML file is read as the file is: %s', async (_, bytes) => {
  const path = join(folder, 'a.xml')
  writeFileSync(path, bytes)
  expect(await xmlHead(path)).toEqual({ kind: 'ct', seriesInstanceUid: '1.2.3.4' })
  expect((await indexAnnotations([path], new Set(['1.2.3.4']))).bySeries.size).toBe(1)
  expect(await indexAnnotations([path], new Set(['9']))).toMatchObject({ others: 1, problems: [] })
})
