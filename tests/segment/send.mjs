// Sends so many events with Segment's SDK for Node: send.mjs URL COUNT
import { Analytics } from '@segment/analytics-node'
import { setTimeout } from 'node:timers/promises'

const [host, count] = process.argv.slice(2)
const analytics = new Analytics({ writeKey: 'a-key', host, flushAt: 50 })
const failed = []
analytics.on('error', (error) => failed.push(error))
for (let number = 0; number < Number(count); number += 1) {
  analytics.track({ userId: `u-${number % 7}`, event: 'node', properties: { number } })
  if (number % 50 === 0) await setTimeout(20)
}
await analytics.closeAndFlush({ timeout: 60_000 })
if (failed.length) {
  console.error(failed.map(String).join('\n'))
  process.exit(1)
}
