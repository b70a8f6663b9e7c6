import Layers
import Testing

@Suite("Key-value caches")
struct KeyValueCacheTests {
  private static let block = KeyValueBlocks.positions

  @Test("A cache takes blocks as its sequence grows and gives them back")
  func growth() {
    let memory = KeyValueBlocks(layers: 2, heads: 2, headDim: 10)
    var cache: KeyValueCache? = memory.makeCache()
    #expect(memory.usedBlocks == 0 && memory.reservedBytes == 0)
    for length in 1...5 * Self.block {
      cache?.prepare(length - 1..<length)
      #expect(memory.usedBlocks == (length + Self.block - 1) / Self.block)
    }
    let reserved = memory.reservedBytes
    cache = nil
    #expect(memory.usedBlocks == 0)
    cache = memory.makeCache()
    cache?.prepare(0..<5 * Self.block)
    #expect(memory.usedBlocks == 5 && memory.reservedBytes == reserved)
  }

  @Test("Sequences share the whole blocks of a prompt, and the last one to write to a block does not copy it")
  func sharing() {
    let memory = KeyValueBlocks(layers: 1, heads: 1, headDim: 4)
    let prompt = 2 * Self.block + 3
    var source: KeyValueCache? = memory.makeCache()
    source?.prepare(0..<prompt)
    #expect(memory.usedBlocks == 3)
    var caches: [KeyValueCache] = []
    for _ in 0..<4 { if let source { caches.append(KeyValueCache(sharing: prompt, of: source)) } }
    #expect(memory.usedBlocks == 3)
    source = nil
    for (number, cache) in caches.enumerated() {
      cache.prepare(prompt..<prompt + 1)
      // The whole blocks, and a copy of the partial block for all but the last.
      #expect(memory.usedBlocks == 3 + min(number + 1, 3))
    }
    caches.removeLast(3)
    #expect(memory.usedBlocks == 3)
    caches.removeAll()
    #expect(memory.usedBlocks == 0)
  }

  @Test("The system gives no more than the plan says for any number of blocks")
  func reserved() {
    for (layers, headDim) in [(1, 4), (6, 64), (2, 33)] {
      let memory = KeyValueBlocks(layers: layers, heads: 8, headDim: headDim)
      let cache = memory.makeCache()
      for blocks in 1...40 {
        cache.prepare(0..<blocks * Self.block)
        let planned = KeyValueBlocks.bytes(layers: layers, dim: 8 * headDim, blocks: blocks)
        #expect(memory.reservedBytes <= planned)
        #expect(planned <= 2 * memory.reservedBytes)
      }
    }
    #expect(KeyValueBlocks.bytes(layers: 6, dim: 512, blocks: .max) == .max)
  }
}
