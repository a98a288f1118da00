import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Every file runs in its own process: the addon and tfjs hold process-wide state.
    pool: 'forks',
    // Two files at a time also on two cores, where vitest would leave one free: most of a test is one thread's work.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    setupFiles: ['test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
