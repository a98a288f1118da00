import fc from 'fast-check'

// The gate tests the same cases each time; NODULE_SEED=N looks at others.
fc.configureGlobal({ seed: Number(process.env['NODULE_SEED'] ?? 1) })
