import Foundation
import Tensors
import TestSupport
import Testing

@Suite("Philox")
struct PhiloxTests {
  struct Golden: Decodable {
    struct KnownAnswer: Decodable {
      let counter: [UInt32]
      let key: [UInt32]
      let output: [UInt32]
    }
    struct Stream: Decodable {
      let seed: UInt64
      let stream: String
      let sequence: UInt64
      let position: UInt32
      let step: UInt32
      let words: [UInt32]
      let uniforms: [Float]
    }
    let known_answers: [KnownAnswer]
    let streams: [Stream]
  }

  static func golden() throws -> Golden {
    try JSONDecoder().decode(Golden.self, from: Fixtures.data("golden/philox.json"))
  }

  @Test("The bijection gives the known answers of Random123")
  func knownAnswers() throws {
    let answers = try Self.golden().known_answers
    #expect(answers.count == 3)
    for answer in answers {
      let output = Philox.bijection(counter: SIMD4(answer.counter), key: SIMD2(answer.key))
      #expect(output == SIMD4(answer.output))
    }
  }

  @Test("The streams equal the golden words and uniforms")
  func streams() throws {
    let names: [String: RandomStream] = [
      "token": .tokenSampling, "latent_step": .latentStep, "diffusion_noise": .diffusionNoise, "init": .initialWeights,
    ]
    let streams = try Self.golden().streams
    #expect(streams.count == 5)
    for golden in streams {
      let stream = try #require(names[golden.stream])
      let words = Philox(seed: golden.seed).words(
        stream: stream, step: golden.step, sequence: golden.sequence, position: golden.position,
        count: golden.words.count)
      #expect(words == golden.words)
      #expect(words.map(Philox.uniform) == golden.uniforms)
    }
  }

  @Test("A shorter fill is a prefix of a longer one, and blocks are its words four by four")
  func prefixes() {
    let generator = Philox(seed: 0x0123_4567_89AB_CDEF)
    let all = generator.words(stream: .latentStep, step: 3, sequence: 1 << 40 | 5, position: 77, count: 37)
    for count in 0...37 {
      let words = generator.words(stream: .latentStep, step: 3, sequence: 1 << 40 | 5, position: 77, count: count)
      #expect(words == Array(all.prefix(count)))
    }
    for index in 0..<36 {
      let four = generator.block(
        stream: .latentStep, step: 3, sequence: 1 << 40 | 5, position: 77, block: UInt32(index / 4))
      #expect(four[index % 4] == all[index])
    }
    #expect(generator.word(stream: .latentStep, step: 3, sequence: 1 << 40 | 5, position: 77) == all[0])
  }

  @Test("Bits come from consecutive words, lowest bit first, and end in zeros")
  func bits() {
    let generator = Philox(seed: 42)
    let words = generator.words(stream: .latentNoise, sequence: 9, position: 4, count: 12)
    for count in [0, 1, 7, 8, 9, 31, 32, 33, 127, 128, 129, 300] {
      var packed = [UInt8](repeating: 0xFF, count: (count + 7) / 8)
      packed.withUnsafeMutableBufferPointer {
        generator.bits(into: $0, count: count, stream: .latentNoise, sequence: 9, position: 4)
      }
      for index in 0..<8 * packed.count {
        let expected = index < count ? words[index / 32] >> UInt32(index % 32) & 1 : 0
        #expect(UInt32(packed[index / 8] >> UInt8(index % 8) & 1) == expected)
      }
    }
  }

  @Test("Changing any coordinate changes the words")
  func independence() {
    let words: [[UInt32]] = [
      Philox(seed: 1).words(stream: .tokenSampling, sequence: 1, position: 1, count: 4),
      Philox(seed: 2).words(stream: .tokenSampling, sequence: 1, position: 1, count: 4),
      Philox(seed: 1 | 1 << 32).words(stream: .tokenSampling, sequence: 1, position: 1, count: 4),
      Philox(seed: 1).words(stream: .latentNoise, sequence: 1, position: 1, count: 4),
      Philox(seed: 1).words(stream: .tokenSampling, step: 1, sequence: 1, position: 1, count: 4),
      Philox(seed: 1).words(stream: .tokenSampling, sequence: 2, position: 1, count: 4),
      Philox(seed: 1).words(stream: .tokenSampling, sequence: 1 | 1 << 33, position: 1, count: 4),
      Philox(seed: 1).words(stream: .tokenSampling, sequence: 1, position: 2, count: 4),
    ]
    #expect(Set(words).count == words.count)
  }

  @Test("Uniforms lie in [0, 1) and normals are finite at the extremes")
  func extremes() {
    #expect(Philox.uniform(0) == 0)
    #expect(Philox.uniform(255) == 0)
    #expect(Philox.uniform(.max) == 1 - 0x1p-24)
    #expect(Philox.normal(.max, 0) == 0)
    #expect(abs(Philox.normal(0, 0) - (48 * log(2.0)).squareRoot()) < 1e-12)
    #expect(abs(Philox.normal(0, 1 << 31) + (48 * log(2.0)).squareRoot()) < 1e-12)
  }

  @Test("Normals have mean 0, deviation 1 and the kurtosis of a normal")
  func moments() {
    let count = 100_000
    let words = Philox(seed: 11).words(stream: .initialWeights, sequence: 3, position: 0, count: 2 * count)
    let normals = (0..<count).map { Philox.normal(words[2 * $0], words[2 * $0 + 1]) }
    let mean = normals.reduce(0, +) / Double(count)
    let variance = normals.reduce(0) { $0 + $1 * $1 } / Double(count)
    let fourth = normals.reduce(0) { $0 + $1 * $1 * $1 * $1 } / Double(count)
    #expect(abs(mean) < 0.015)
    #expect(abs(variance - 1) < 0.02)
    #expect(abs(fourth - 3) < 0.15)
  }

  @Test("Normals made many at once are the bits of normals made one by one, on every instruction set")
  func manyNormals() {
    let (deviation, sequence) = (0.02, UInt64(1) << 33 | 7)
    let words = Philox(seed: 99).words(stream: .initialWeights, sequence: sequence, position: 5, count: 400_000)
    let expected = (0..<200_000).map { Float(Philox.normal(words[2 * $0], words[2 * $0 + 1]) * deviation) }
    let (key, counter) = ([UInt32(99), UInt32(2)], [UInt32(5), UInt32(7), UInt32(0)])
    for table in KernelTable.all {
      for count in [1, 2, 31, 32, 33, 64, 200_000 - 64] {
        var found = [Float](repeating: -9, count: count)
        table.pointer.pointee.memory.pointee.normals(Int64(count), 32, key, counter, deviation, &found)
        #expect(found.elementsEqual(expected[64..<64 + count]) { $0.bitPattern == $1.bitPattern })
      }
    }
    var values = [Float](repeating: 0, count: 300)
    Philox(seed: 99).normals(
      0..<300, stream: .initialWeights, sequence: sequence, position: 5, deviation: deviation, into: &values)
    #expect(values == Array(expected[..<300]))
  }
}
