import type * as promises from 'node:fs/promises'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { lockFolder } from '../src/lock.js'

// As exFAT and some shares answer.
vi.mock('node:fs/promises', async (importOriginal) => ({
  ...(await importOriginal<typeof promises>()),
  link: async () => Promise.reject(Object.assign(new Error('EPERM: link'), { code: 'EPERM' })),
}))

const folder = mkdtempSync(join(tmpdir(), 'nodule-no-links-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('locks where a file system has no hard links', async () => {
  const release = await lockFolder(folder, 'training')
  expect(readdirSync(folder)).toHaveLength(1)
  await expect(lockFolder(folder, 'training')).rejects.toThrow('the folder is in use')
  release()
  expect(readdirSync(folder)).toEqual([])
})
