import { describeMutants } from './gate.js'
import { JSON_TARGETS } from './targets.js'

describeMutants(JSON_TARGETS)
