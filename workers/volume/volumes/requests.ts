/** Bodies of volume requests. Pure. What upstream takes as a string or a number is taken as either. */
import { any, boolean, custom, type GenericSchema, integer, looseObject, maxLength, maxValue, minValue, nullish, number, object, optional, pipe, record, regex, strictObject, string, transform, union, minLength } from 'valibot'

export const SIZE_GIB_MAX = 2 ** 31 - 1
export const name = nullish(pipe(string(), maxLength(255)))
/** An object and not a list, which would pass for one with numbers as keys. */
export const plain = custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'is not an object')
export const metadata = pipe(plain, record(pipe(string(), minLength(1), maxLength(255)), pipe(string(), maxLength(255))))
const digits = pipe(string(), regex(/^\d+$/, 'is not an integer'), transform(Number))
/** An integer above zero, as number or digits. */
export const size = pipe(union([number(), digits], 'is not an integer'), integer('is not an integer'), minValue(1, 'must be an integer greater than 0'), maxValue(SIZE_GIB_MAX))
export const flag = pipe(union([boolean(), string(), number()]), transform((value) => ['true', '1', 'yes', 'on', 't', 'y'].includes(String(value).toLowerCase())))

export const createBody = looseObject({
  volume: looseObject({
    name, display_name: name, description: name, display_description: name, size: nullish(size), volume_type: nullish(string()), availability_zone: nullish(string()), metadata: nullish(metadata), snapshot_id: nullish(string()),
    source_volid: nullish(string()), imageRef: nullish(any()), image_id: nullish(any()), multiattach: nullish(flag), backup_id: nullish(string()), consistencygroup_id: nullish(string()), group_id: nullish(string()),
  }),
  'OS-SCH-HNT:scheduler_hints': nullish(record(string(), any())),
  scheduler_hints: nullish(record(string(), any())),
})

export const updateBody = looseObject({ volume: looseObject({ name, display_name: name, description: name, display_description: name, metadata: optional(metadata) }) })
export const metadataBody = strictObject({ metadata })
export const metaBody = strictObject({ meta: metadata })
export const actionBody = record(string(), any())

const uuid = pipe(string(), minLength(1))
const connector = record(string(), any())

/** One schema an action; the action's key is the body's only one. */
export const ACTIONS = {
  'os-extend': object({ new_size: size }),
  'os-attach': looseObject({ instance_uuid: optional(uuid), host_name: optional(string()), mountpoint: string(), mode: optional(string()) }),
  'os-detach': nullish(looseObject({ attachment_id: nullish(string()) })),
  'os-force_detach': looseObject({ attachment_id: nullish(string()), connector: nullish(connector) }),
  'os-set_bootable': object({ bootable: flag }),
  'os-update_readonly_flag': object({ readonly: flag }),
  'os-set_image_metadata': object({ metadata }),
  'os-unset_image_metadata': object({ key: string() }),
  'os-show_image_metadata': nullish(any()),
  'os-reset_status': looseObject({ status: nullish(string()), attach_status: nullish(string()), migration_status: nullish(string()) }),
  'os-retype': looseObject({ new_type: string(), migration_policy: nullish(string()) }),
  'os-volume_upload_image': looseObject({
    image_name: pipe(string(), minLength(1), maxLength(255)), force: nullish(flag), disk_format: nullish(string()), container_format: nullish(string()), visibility: nullish(string()), protected: nullish(flag),
  }),
  'os-initialize_connection': object({ connector }),
  'os-terminate_connection': object({ connector: nullish(connector) }),
} satisfies Record<string, GenericSchema>

export type ActionName = keyof typeof ACTIONS
