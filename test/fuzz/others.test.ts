import { describeMutants } from './gate.js'
import { OTHER_TARGETS } from './targets.js'

describeMutants(OTHER_TARGETS)
