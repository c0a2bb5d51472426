import * as z from 'zod'
import { stackSchema } from './schema.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
type JsonObject = Readonly<Record<string, Json>>

/** The JSON Schema of stack files, for editors: draft 7, which the YAML language server reads best. */
export function stackJsonSchema(): JsonObject {
  const schema = z.toJSONSchema(stackSchema, { target: 'draft-7', io: 'input' }) as JsonObject
  return { ...(simplified(schema) as JsonObject), patternProperties: { '^x-': OWN_FIELD } }
}

const OWN_FIELD = { description: 'A field of your own, e.g. as a place for YAML anchors.' }

/** The text of stack.schema.json. */
export function stackSchemaFile(): string {
  return JSON.stringify(stackJsonSchema(), null, 2) + '\n'
}

/** Writes "X or nothing" as one schema, which editors show better than two alternatives. */
function simplified(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map((item: Json) => simplified(item))
  if (typeof schema !== 'object' || schema === null) return schema
  const simple = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, simplified(value)]))
  const [only, nothing, ...more] = Array.isArray(simple['anyOf']) ? (simple['anyOf'] as JsonObject[]) : []
  if (!only || nothing?.['type'] !== 'null' || more.length > 0) return simple
  const { anyOf: _, ...rest } = simple
  const nullable = { ...only, ...rest, type: [...listOf(only['type']), 'null'] }
  return 'enum' in only ? { ...nullable, enum: [...listOf(only['enum']), null] } : nullable
}

function listOf(json: Json | undefined): readonly Json[] {
  if (json === undefined) return []
  return Array.isArray(json) ? (json as readonly Json[]) : [json]
}
