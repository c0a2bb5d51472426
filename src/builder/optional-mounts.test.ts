import { expect, test } from 'vitest'
import { dropOptionalMounts } from './optional-mounts.ts'

test.each([
  ['RUN --mount=type=cache,target=/c go build', 'RUN go build'],
  ['RUN --mount=type=secret,id=npmrc --mount=type=ssh npm ci', 'RUN npm ci'],
  ['run --network=host --mount=target=/c,type=cache true', 'run --network=host true'],
  ['RUN --mount=type=cache,target="/a b" ["true"]', 'RUN ["true"]'],
  ['ONBUILD RUN --mount=type=cache,target=/c true', 'ONBUILD RUN true'],
  ['RUN --mount=type=secret,id=a,required=false true', 'RUN true'],
])('%j runs as %j where there are no mounts', (written, runs) =>
  expect(dropOptionalMounts(written)).toBe(runs),
)

test.each([
  'RUN --mount=type=secret,id=a,required=true cat /run/secrets/a',
  'RUN --mount=type=secret,id=a,required cat /run/secrets/a',
  'RUN --mount=type=bind,target=/src true',
  'RUN --mount=target=/src true',
  'RUN --mount=type=tmpfs,target=/t true',
  'RUN echo --mount=type=cache,target=/c',
  'RUN docker run --mount=type=cache,target=/c x',
  'COPY --from=x --mount=type=cache,target=/c a b',
  '# RUN --mount=type=cache,target=/c true',
  'FROM x\r\nRUN true\r\n',
  '',
])('%j stays as it is', (dockerfile) => expect(dropOptionalMounts(dockerfile)).toBe(dockerfile))

test('flags on continued lines go, and every line keeps its number', () => {
  const written = [
    'FROM x',
    'RUN --mount=type=cache,target=/a \\',
    '    # the token, where there is one',
    '    --mount=type=secret,id=token \\',
    '',
    '    go build && \\',
    '    echo --mount=type=cache,target=/b',
    'CMD ["x"]',
  ]
  expect(dropOptionalMounts(written.join('\n')).split('\n')).toEqual([
    'FROM x',
    'RUN \\',
    '    # the token, where there is one',
    '    \\',
    '',
    '    go build && \\',
    '    echo --mount=type=cache,target=/b',
    'CMD ["x"]',
  ])
})

test('a backtick continues lines where the Dockerfile says so', () => {
  expect(dropOptionalMounts('# escape=`\nFROM x\nRUN --mount=type=cache,target=/a `\n  true')).toBe(
    '# escape=`\nFROM x\nRUN `\n  true',
  )
})

test('what a here-document says is nobody’s flag', () => {
  const written =
    'COPY <<-"END" <<B /x/\n\tRUN --mount=type=cache,target=/a true\n\tEND\nRUN --mount=type=ssh b\nB\n'
  expect(dropOptionalMounts(`${written}RUN --mount=type=ssh true`)).toBe(`${written}RUN true`)
})

test('a shift is no here-document', () => {
  expect(dropOptionalMounts('RUN echo $((1 <<x))\nRUN --mount=type=ssh true')).toBe(
    'RUN echo $((1 <<x))\nRUN true',
  )
})
