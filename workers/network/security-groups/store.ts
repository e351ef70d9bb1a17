/** Security groups of one project and their rules, in its object. A change reaches exactly the ports it concerns (plane/touch.ts). */
import { RpcTarget } from 'cloudflare:workers'
import { eq, inArray } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type SecurityGroupRow, type SecurityGroupRuleRow, ports, securityGroupRules, securityGroups } from '../../../schema/project/network.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { bumped, checkRevision, givenOnly, standardRow } from '../api/standard.ts'
import { conflict, groupInUse, notFound, overQuota, ruleExists } from '../faults.ts'
import { chunked } from '../plane/known.ts'
import { touchGroups, usesGroup } from '../plane/touch.ts'
import { DEFAULT_GROUP, defaultGroup, ensureDefault, insertFirstRules, insertRule, ruleRow } from './default.ts'
import type { SecurityGroupGiven, SecurityGroupRuleGiven } from './requests.ts'
import { checkRule, sameRule } from './rules.ts'

export interface SecurityGroupRecord {
  row: SecurityGroupRow
  rules: SecurityGroupRuleRow[]
}

export class SecurityGroups extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** `own`: the caller's own project, whose default group is made now if it is not there. */
  list(own = false): SecurityGroupRecord[] {
    if (own) defaultGroup(this.#deps, this.#caller)
    const { db } = this.#deps
    const rules = new Map<string, SecurityGroupRuleRow[]>()
    for (const rule of db.select().from(securityGroupRules).orderBy(securityGroupRules.created_ms, securityGroupRules.id).all()) rules.set(rule.security_group_id, [...(rules.get(rule.security_group_id) ?? []), rule])
    return db.select().from(securityGroups).all().map((row) => ({ row, rules: rules.get(row.id) ?? [] }))
  }

  get(id: string): SecurityGroupRecord {
    return { row: this.#row(id), rules: this.#deps.db.select().from(securityGroupRules).where(eq(securityGroupRules.security_group_id, id)).orderBy(securityGroupRules.created_ms, securityGroupRules.id).all() }
  }

  createMany(wanted: SecurityGroupGiven[]): SecurityGroupRecord[] {
    const ids = this.#deps.commit(this.#caller, (tx) => {
      ensureDefault(this.#deps, tx)
      peersOf(this.#deps).quotas.claim('network', tx.db, { security_group: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
      return wanted.map((given) => {
        if (given.name?.toLowerCase() === DEFAULT_GROUP) throw conflict('SecurityGroupDefaultAlreadyExists', 'Default security group already exists.')
        const row: SecurityGroupRow = { ...standardRow(tx, this.#deps.newId(), given), stateful: given.stateful ?? true, is_default: false }
        tx.db.insert(securityGroups).values(row).run()
        tx.change('security_group', row.id, 'create', null, row)
        insertFirstRules(this.#deps, tx, row.id, null)
        return row.id
      })
    })
    return ids.map((id) => this.get(id))
  }

  update(id: string, given: SecurityGroupGiven, revision: number | null): SecurityGroupRecord {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.#row(id)
      checkRevision('security_group', row, revision)
      if (given.name !== undefined && given.name !== row.name && (row.is_default || given.name.toLowerCase() === DEFAULT_GROUP)) throw conflict('SecurityGroupCannotUpdateDefault', 'Updating default security group not allowed.')
      if (given.stateful !== undefined && given.stateful !== row.stateful && this.#used(tx, id)) throw groupInUse(id)
      const next = { ...row, ...givenOnly(given), ...bumped(tx, row) }
      tx.db.update(securityGroups).set(next).where(eq(securityGroups.id, id)).run()
      tx.change('security_group', id, 'update', row, next)
    })
    return this.get(id)
  }

  remove(id: string, revision: number | null): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.#row(id)
      checkRevision('security_group', row, revision)
      if (row.is_default && !this.#caller.roles.includes('admin')) throw conflict('SecurityGroupCannotRemoveDefault', 'Insufficient rights for removing default security group.')
      if (this.#used(tx, id)) throw groupInUse(id)
      const others = tx.db.select().from(securityGroupRules).where(eq(securityGroupRules.remote_group_id, id)).all().filter((rule) => rule.security_group_id !== id)
      touchGroups(tx, others.map((rule) => rule.security_group_id))
      const gone = tx.db.delete(securityGroupRules).where(eq(securityGroupRules.security_group_id, id)).returning().all()
      for (const rule of [...gone, ...others]) tx.change('security_group_rule', rule.id, 'delete', rule, null)
      tx.db.delete(securityGroupRules).where(eq(securityGroupRules.remote_group_id, id)).run()
      tx.db.delete(securityGroups).where(eq(securityGroups.id, id)).run()
      tx.change('security_group', id, 'delete', row, null)
    })
  }

  listRules(own = false, groupIds: string[] | null = null): SecurityGroupRuleRow[] {
    if (own) defaultGroup(this.#deps, this.#caller)
    const { db } = this.#deps
    if (groupIds === null) return db.select().from(securityGroupRules).all()
    return chunked(groupIds).flatMap((part) => db.select().from(securityGroupRules).where(inArray(securityGroupRules.security_group_id, part)).all())
  }

  getRule(id: string): SecurityGroupRuleRow {
    const [row] = this.#deps.db.select().from(securityGroupRules).where(eq(securityGroupRules.id, id)).all()
    if (row === undefined) throw notFound('security_group_rule', id)
    return row
  }

  createRules(wanted: SecurityGroupRuleGiven[]): SecurityGroupRuleRow[] {
    return this.#deps.commit(this.#caller, (tx) => {
      peersOf(this.#deps).quotas.claim('network', tx.db, { security_group_rule: wanted.length }, (over) => overQuota(over.map((one) => one.resource)))
      return wanted.map((given) => this.#insertRule(tx, given))
    })
  }

  removeRule(id: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.getRule(id)
      tx.db.delete(securityGroupRules).where(eq(securityGroupRules.id, id)).run()
      tx.change('security_group_rule', id, 'delete', row, null)
      this.#rulesMoved(tx, row.security_group_id)
    })
  }

  #insertRule(tx: Tx, given: SecurityGroupRuleGiven): SecurityGroupRuleRow {
    const group = this.#row(given.security_group_id ?? '')
    const row = ruleRow(this.#deps, tx, {
      security_group_id: group.id, direction: given.direction ?? 'ingress', ethertype: given.ethertype ?? 'IPv4', protocol: given.protocol ?? null, port_range_min: given.port_range_min ?? null,
      port_range_max: given.port_range_max ?? null, remote_ip_prefix: given.remote_ip_prefix ?? null, remote_group_id: given.remote_group_id ?? null, description: given.description ?? '',
    })
    checkRule(row)
    if (row.remote_group_id !== null) this.#row(row.remote_group_id)
    const same = tx.db.select().from(securityGroupRules).where(eq(securityGroupRules.security_group_id, group.id)).all().find((other) => sameRule(other, row))
    if (same !== undefined) throw ruleExists(same.id)
    insertRule(tx, row)
    this.#rulesMoved(tx, group.id)
    return row
  }

  #rulesMoved(tx: Tx, groupId: string): void {
    const group = this.#row(groupId)
    tx.db.update(securityGroups).set(bumped(tx, group)).where(eq(securityGroups.id, groupId)).run()
    touchGroups(tx, [groupId])
  }

  #used(tx: Tx, id: string): boolean {
    return tx.db.select({ id: ports.id }).from(ports).where(usesGroup(id)).limit(1).all().length > 0
  }

  #row(id: string): SecurityGroupRow {
    const [row] = this.#deps.db.select().from(securityGroups).where(eq(securityGroups.id, id)).all()
    if (row === undefined) throw notFound('security_group', id)
    return row
  }
}
