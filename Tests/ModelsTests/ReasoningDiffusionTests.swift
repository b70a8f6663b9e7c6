import Foundation
import Layers
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("Reasoning latents")
struct ReasoningDiffusionTests {
  private func sample(
    _ tiny: TinyModel, _ xContext: Matrix, _ identities: [ReasoningDiffusion.Identity], seed: UInt64
  ) throws -> [UInt8] {
    let diffusion = try #require(tiny.model.diffusion)
    let z = tiny.context.arena.view(repeating: UInt8(0xAA), count: identities.count * tiny.model.latentBytes)
    diffusion.sample(xContext, identities: identities, seed: seed, tiny.weights, into: z, tiny.context)
    return Array(z)
  }

  private func bit(_ packed: [UInt8], _ row: Int, _ index: Int) -> Int {
    Int(packed[row * 3 + index / 8] >> UInt8(index % 8)) & 1
  }

  private func identities(_ count: Int) -> [ReasoningDiffusion.Identity] {
    (0..<count).map { .init(sequence: UInt64($0 % 3) << 33 + 5, position: UInt32($0)) }
  }

  @Test("Sampled bits depend on context and identity only, not on batch or threads", arguments: NumberFormat.allCases)
  func independence(_ format: NumberFormat) throws {
    var first: [UInt8]?
    for threads in 1...3 {
      let tiny = try TinyModel(format, seed: 131, pool: WorkerPool(threads: threads))
      var numbers = RandomNumbers(seed: 132)
      let rows = 40
      let xContext = tiny.matrix(numbers.normals(rows * 20), columns: 20)
      let names = identities(rows)
      let whole = try sample(tiny, xContext, names, seed: 9)
      for row in stride(from: 0, to: rows, by: 6) {
        let alone = try sample(tiny, xContext.rows(row..<row + 1), [names[row]], seed: 9)
        #expect(alone == Array(whole[row * 3..<(row + 1) * 3]))
      }
      #expect(try sample(tiny, xContext.rows(13..<31), Array(names[13..<31]), seed: 9) == Array(whole[39..<93]))
      #expect(try sample(tiny, xContext, names, seed: 10) != whole)
      #expect(whole == first ?? whole)
      #expect((0..<rows).allSatisfy { whole[$0 * 3 + 2] < 16 })
      first = whole
    }
  }

  @Test("Sampling follows the definition step by step")
  func definition() throws {
    let tiny = try TinyModel(seed: 133)
    let diffusion = try #require(tiny.model.diffusion)
    var numbers = RandomNumbers(seed: 134)
    let rows = 12
    let xContext = tiny.matrix(numbers.normals(rows * 20), columns: 20)
    let names = identities(rows)
    let generator = Philox(seed: 21)
    var z = names.flatMap { name -> [UInt8] in
      let word = generator.word(stream: .latentNoise, sequence: name.sequence, position: name.position)
      return [UInt8(word & 255), UInt8(word >> 8 & 255), UInt8(word >> 16 & 15)]
    }
    let alpha = diffusion.schedule.alphaBar
    let visited = [10, 8, 6, 4, 2, 0]
    for step in 0..<5 {
      let (n, next) = (visited[step], visited[step + 1])
      let (context, _) = diffusion.denoiser.normalizedContext(xContext, tiny.forward)
      let logits = tiny.context.arena.matrix(rows, 20)
      _ = diffusion.denoiser.forward(
        tiny.context.arena.view(of: z), context: context,
        levels: tiny.context.arena.view(repeating: Int32(n), count: rows), into: logits, tiny.forward)
      var following = [UInt8](repeating: 0, count: z.count)
      for row in 0..<rows {
        let words = generator.words(
          stream: .latentStep, step: UInt32(step), sequence: names[row].sequence, position: names[row].position,
          count: 20)
        for index in 0..<20 {
          let p = 1 / (1 + exp(-Double(logits.row(row)[index])))
          let (a, b) = (alpha[n] / alpha[next], alpha[next])
          let s = Double(2 * bit(z, row, index) - 1)
          let (l1, l0) = ((1 + a * s) / 2, (1 - a * s) / 2)
          let (q1, q0) = ((1 + b) / 2, (1 - b) / 2)
          let one = p * l1 * q1 / (l1 * q1 + l0 * (1 - q1)) + (1 - p) * l1 * q0 / (l1 * q0 + l0 * (1 - q0))
          let u = Double(words[index] >> 8) / 16_777_216
          if next == 0 ? p > 0.5 : u < one { following[row * 3 + index / 8] |= 1 << UInt8(index % 8) }
        }
      }
      z = following
    }
    #expect(try sample(tiny, xContext, names, seed: 21) == z)
  }

  @Test("Target bits are the signs of the discounted sum of the next embeddings")
  func targets() throws {
    let tiny = try TinyModel(seed: 135) { sizes in
      sizes.latentHorizon = 2
      sizes.latentDiscount = 0.5
    }
    let diffusion = try #require(tiny.model.diffusion)
    let embedding = tiny.masters.values(tiny.model.embedding)
    // Bit 0 of tokens 0…3 is 1, −1, 3, 2; bit 1 is 0, 0, 0, 0; bit 9 is −1, 1, −2, 2; all else −1.
    for token in 0..<4 { for index in 0..<20 { embedding[token * 20 + index] = index == 1 ? 0 : -1 } }
    for (token, value) in [Float(1), -1, 3, 2].enumerated() { embedding[token * 20] = value }
    for (token, value) in [Float(-1), 1, -2, 2].enumerated() { embedding[token * 20 + 9] = value }
    let bits = diffusion.targetBits([0, 1, 2, 3, 1], embedding: tiny.masters.rows(tiny.model.embedding))
    // Position 0: −1 + 3/2 > 0 and 1 − 2/2 = 0; 1: 3 + 2/2 and −2 + 2/2; 2: 2 − 1/2 and 2 + 1/2; 3: −1 and 1; 4: none.
    #expect((0..<5).map { bit(bits, $0, 0) } == [1, 1, 1, 0, 0])
    #expect((0..<5).map { bit(bits, $0, 9) } == [0, 0, 1, 1, 0])
    #expect((0..<5).allSatisfy { row in (0..<20).allSatisfy { $0 == 0 || $0 == 9 || bit(bits, row, $0) == 0 } })
    #expect(diffusion.targetBits([3], embedding: tiny.masters.rows(tiny.model.embedding)) == [0, 0, 0])
  }

  @Test("Noise levels are uniform, bits flip as often as the level says, and both follow their words")
  func noise() throws {
    let tiny = try TinyModel(seed: 136)
    let diffusion = try #require(tiny.model.diffusion)
    var numbers = RandomNumbers(seed: 137)
    let positions = 4000
    let targets = (0..<positions).flatMap { _ in numbers.bytes(2) + [UInt8(numbers.integer(below: 16))] }
    let (levels, noisy) = diffusion.noise(targets, sequence: 1 << 40 + 3, seed: 8)
    let generator = Philox(seed: 8)
    var counts = [Int](repeating: 0, count: 11)
    var flips = counts
    for position in 0..<positions {
      let level = Int(levels[position])
      let word = generator.word(stream: .diffusionStep, sequence: 1 << 40 + 3, position: UInt32(position))
      #expect(level == Int(word % 10) + 1)
      counts[level] += 1
      for index in 0..<20 where bit(targets, position, index) != bit(noisy, position, index) { flips[level] += 1 }
      #expect(noisy[position * 3 + 2] < 16)
    }
    for level in 1...10 {
      #expect(abs(counts[level] - 400) < 100)
      let p = (1 - diffusion.schedule.alphaBar[level]) / 2
      let tries = Double(20 * counts[level])
      #expect(abs(Double(flips[level]) - tries * p) < 5 * (tries * p * (1 - p)).squareRoot() + 1, "level \(level)")
    }
    #expect(counts[0] == 0)
    let words = generator.words(stream: .diffusionNoise, sequence: 1 << 40 + 3, position: 17, count: 20)
    let flip = diffusion.schedule.flipProbability(at: Int(levels[17]))
    for index in 0..<20 {
      let flipped = Double(words[index] >> 8) / 16_777_216 < flip
      #expect((bit(targets, 17, index) != bit(noisy, 17, index)) == flipped)
    }
  }
}
