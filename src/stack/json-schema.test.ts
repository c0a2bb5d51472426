import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isDnsLabel } from '../core/function.ts'
import { stackJsonSchema, stackSchemaFile } from './json-schema.ts'

interface Schema {
  readonly type?: unknown
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly propertyNames?: { readonly pattern?: string }
  readonly items?: Schema
}

const schema = stackJsonSchema() as Schema
const functionSchema = schema.properties?.['functions']?.additionalProperties as Schema

test('stack.schema.json is what the source gives (else: npm run build && node scripts/stack-schema.mjs)', () => {
  const file = readFileSync(new URL('../../stack.schema.json', import.meta.url), 'utf8')
  expect(file).toBe(stackSchemaFile())
})

describe('the schema', () => {
  test('describes every field, so that editors have something to show', () => {
    const silent: string[] = []
    function visit(path: string, node: Schema): void {
      for (const [name, field] of Object.entries(node.properties ?? {})) {
        if (!field.description) silent.push(`${path}${name}`)
        visit(`${path}${name}.`, field)
      }
      if (typeof node.additionalProperties === 'object') visit(`${path}*.`, node.additionalProperties)
      if (node.items) visit(`${path}[].`, node.items)
    }
    visit('', schema)
    expect(silent).toEqual([])
  })

  test('has every field of contract 5.1, and no others', () => {
    expect(Object.keys(schema.properties ?? {})).toEqual([
      'version',
      'provider',
      'functions',
      'configuration',
    ])
    expect(Object.keys(functionSchema.properties ?? {}).sort()).toEqual([
      'annotations',
      'build_args',
      'build_options',
      'build_secrets',
      'constraints',
      'environment',
      'environment_file',
      'fprocess',
      'handler',
      'image',
      'labels',
      'lang',
      'limits',
      'namespace',
      'platforms',
      'readonly_root_filesystem',
      'requests',
      'secrets',
      'skip_build',
    ])
    expect(functionSchema.additionalProperties).toBe(false)
  })

  test('takes numbers and booleans as label values, and nothing at all for any optional field', () => {
    expect(functionSchema.properties?.['labels']?.additionalProperties).toEqual({
      type: ['string', 'number', 'boolean', 'null'],
    })
    expect(functionSchema.properties?.['skip_build']?.type).toEqual(['boolean', 'null'])
    expect(functionSchema.properties?.['environment']?.type).toEqual(['object', 'null'])
  })

  test('knows function names as the platform does', () => {
    const pattern = new RegExp(schema.properties?.['functions']?.propertyNames?.pattern ?? '(')
    const name = fc.oneof(fc.stringMatching(/^[a-z0-9-]{1,64}$/), fc.string())
    fc.assert(fc.property(name, (text) => pattern.test(text) === isDnsLabel(text)))
  })
})
