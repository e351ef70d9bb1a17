import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { VolumeRow, VolumeStatus } from '../../../schema/project/volume.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { accept, STATUSES, type VolumeRequest } from './states.ts'

const row = (status: VolumeStatus) => ({ id: 'v', status }) as VolumeRow
const taken: Record<string, VolumeStatus[]> = {
  delete: ['available', 'error', 'error_deleting', 'error_backing-up', 'error_restoring', 'error_extending', 'error_managing'], extend: ['available'], extend_attached: ['available', 'in-use'], reserve: ['available', 'downloading'], begin_detach: ['in-use'],
  transfer: ['available'], restore: ['available'], upload: ['available'],
}

test('each request is taken in its statuses and refused as 400 in all others', () => {
  for (const [request, statuses] of Object.entries(taken)) {
    for (const status of STATUSES) {
      if (statuses.includes(status)) accept(row(status), request as VolumeRequest)
      else assert.throws(() => accept(row(status), request as VolumeRequest), (error) => isFault(error, 'bad_request'), `${request} ${status}`)
    }
  }
})
