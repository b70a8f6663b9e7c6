import Foundation
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("Names, counts and initial weights")
struct ParameterTests {
  @Test("The default sizes have 511,500,289 parameters and 10,848 balance biases")
  func defaultCount() throws {
    let table = try QuillanModel(ModelConfiguration(), PrecisionConfiguration()).table
    #expect(table.parameterCount == 511_500_289)
    let biases = table.specifications.filter { $0.role == .balanceBias }.reduce(0) { $0 + $1.count }
    #expect(biases == 10_848)
    // 32 mini-MoEs of 13 tensors, six layers of 6, three blocks of 7, and the rest.
    #expect(table.count == 32 * 13 + 6 * 6 + 3 * 7 + 1 + 5 + 10 + 3)
  }

  @Test("Weight decay applies to matrices other than routers and the embedding")
  func decay() throws {
    let table = try QuillanModel(ModelConfiguration(), PrecisionConfiguration()).table
    let decayed = [
      "overseer.up.weight", "overseer.down.weight", "diffusion.latent_in.weight", "diffusion.time.up.weight",
      "diffusion.time.down.weight", "diffusion.blocks.0.mid.weight", "diffusion.out.weight",
      "diffusion.latent_out.weight", "layers.0.attention.qkv.weight", "layers.5.attention.out.weight",
      "mini_moes.31.experts.up.weight", "mini_moes.0.agents.down.weight",
    ]
    let kept = [
      "embedding.weight", "value_head.weight", "value_head.bias", "final_norm.weight", "overseer.norm.weight",
      "overseer.up.bias", "diffusion.context_norm.weight", "diffusion.blocks.2.norm.weight",
      "diffusion.out_norm.weight", "layers.0.attention_norm.weight", "layers.0.moe_norm.weight",
      "layers.0.router.weight", "layers.0.router.bias", "mini_moes.3.router.weight",
      "mini_moes.3.micro_router.weight", "mini_moes.3.micro_router.bias", "mini_moes.3.agents.norm.weight",
      "mini_moes.3.experts.up.bias",
    ]
    for name in decayed { #expect(table[table.require(name)].isDecayed, "\(name)") }
    for name in kept { #expect(!table[table.require(name)].isDecayed, "\(name)") }
    // Exactly the matrices outside routers and embedding: four of a mini-MoE, two of a layer, three of a denoiser block,
    // two of the Overseer, five more of the diffusion.
    #expect(table.specifications.count(where: \.isDecayed) == 32 * 4 + 6 * 2 + 3 * 3 + 2 + 5)
  }

  @Test("Every parameter names its owner")
  func owners() throws {
    let tiny = try TinyModel(seed: 122)
    func names(_ owner: ParameterOwner) -> [String] {
      tiny.model.table.specifications.filter { $0.owner == owner }.map(\.name)
    }
    #expect(names(.embedding) == ["embedding.weight"] && names(.finalNorm) == ["final_norm.weight"])
    #expect(names(.valueHead) == ["value_head.bias", "value_head.weight"])
    #expect(names(.overseer).count == 5 && names(.overseer).allSatisfy { $0.hasPrefix("overseer.") })
    #expect(names(.diffusion).count == 10 + 2 * 7 && names(.diffusion).allSatisfy { $0.hasPrefix("diffusion.") })
    #expect(names(.layer(1)).count == 6 && names(.layer(1)).allSatisfy { $0.hasPrefix("layers.1.") })
    #expect(names(.miniMoE(2)).count == 13 && names(.miniMoE(2)).allSatisfy { $0.hasPrefix("mini_moes.2.") })
    #expect(tiny.model.table.specifications.allSatisfy { $0.owner != nil })
  }

  @Test("Names and shapes are those of the model's definition, sorted by bytes")
  func names() throws {
    let tiny = try TinyModel(seed: 121)
    let shapes = Dictionary(uniqueKeysWithValues: tiny.model.table.specifications.map { ($0.name, $0.shape) })
    let expected: [String: [Int]] = [
      "embedding.weight": [1030, 20], "overseer.up.weight": [30, 20], "overseer.down.bias": [20],
      "diffusion.latent_in.weight": [20, 20], "diffusion.time.up.weight": [30, 20],
      "diffusion.time.down.weight": [20, 30], "diffusion.blocks.1.mid.weight": [30, 30],
      "diffusion.out.bias": [20], "diffusion.latent_out.weight": [20, 20],
      "layers.1.attention.qkv.weight": [60, 20], "layers.0.router.weight": [3, 20], "layers.0.router.bias": [3],
      "mini_moes.2.experts.up.weight": [3, 30, 20], "mini_moes.2.experts.down.bias": [3, 20],
      "mini_moes.0.micro_router.bias": [5], "mini_moes.0.agents.norm.weight": [5, 20],
      "mini_moes.0.agents.up.weight": [5, 7, 20], "mini_moes.0.agents.down.weight": [5, 20, 7],
      "final_norm.weight": [20], "value_head.weight": [20], "value_head.bias": [1],
    ]
    for (name, shape) in expected { #expect(shapes[name] == shape, "\(name)") }
    #expect(!shapes.keys.contains { $0.contains("latent_in.bias") || $0.contains("attention.qkv.bias") })
    let names = tiny.model.table.specifications.map(\.name)
    #expect(names == names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    #expect(tiny.model.table.ids.allSatisfy { tiny.masters.offset($0) % 16 == 0 })
  }

  @Test("Without bit diffusion there is no tensor of it")
  func withoutDiffusion() throws {
    let tiny = try TinyModel(seed: 122) { $0.useBitDiffusion = false }
    #expect(tiny.model.diffusion == nil)
    #expect(!tiny.model.table.specifications.contains { $0.name.contains("diffusion") || $0.name.contains("latent") })
    #expect(try TinyModel(seed: 122).model.table.count == tiny.model.table.count + 10 + 2 * 7)
  }

  @Test("An initial weight is its two words through Box–Muller, times the deviation of its name")
  func initialWeights() throws {
    let tiny = try TinyModel(seed: 123)
    let store = tiny.model.initialParameters(seed: 77, pool: WorkerPool(threads: 1))
    let names = tiny.model.table.specifications.map(\.name).sorted()
    let residual = ["attention.out.", "overseer.down.", "experts.down.", "agents.down.", "latent_out."]
    for (index, name) in names.enumerated() {
      let values = try #require(store.array(name))
      if name.hasSuffix(".bias") {
        #expect(values.allSatisfy { $0 == 0 }, "\(name)")
      } else if name.contains("norm.weight") {
        #expect(values.allSatisfy { $0 == 1 }, "\(name)")
      } else {
        let isBlockDown = name.hasPrefix("diffusion.blocks.") && name.contains(".down.")
        let scaled = isBlockDown || residual.contains { name.contains($0) }
        let deviation = scaled ? 0.02 / 4.0.squareRoot() : 0.02
        for element in Set([0, 1, 2, values.count / 2, values.count - 1]) {
          // Words 2i and 2i + 1 are lanes of block i / 2, read through the bijection alone.
          let block = Philox.bijection(
            counter: SIMD4(UInt32(element / 2), 0, UInt32(index), 0), key: SIMD2(77, 0))
          let (first, second) = element % 2 == 0 ? (block[0], block[1]) : (block[2], block[3])
          let u1 = (Double(first >> 8) + 1) / 16_777_216
          let u2 = Double(second >> 8) / 16_777_216
          let expected = (-2 * log(u1)).squareRoot() * cos(2 * Double.pi * u2) * deviation
          #expect(abs(Double(values[element]) - expected) <= abs(expected) * 0x1p-23, "\(name)[\(element)]")
        }
        if values.count >= 400 {
          let spread = (values.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(values.count)).squareRoot()
          #expect(abs(spread / deviation - 1) < 5 / Double(2 * values.count).squareRoot(), "\(name)")
        }
      }
    }
  }

  @Test("Initial weights do not depend on the threads, but on the seed")
  func initialThreads() throws {
    let tiny = try TinyModel(seed: 124) { $0.vocabSize = 5003 }
    let stores = (1...3).map { tiny.model.initialParameters(seed: 5, pool: WorkerPool(threads: $0)).buffer.array }
    #expect(sameBits(stores[1], stores[0]) && sameBits(stores[2], stores[0]))
    let other = tiny.model.initialParameters(seed: 6, pool: WorkerPool(threads: 1)).buffer.array
    #expect(!sameBits(other, stores[0]))
  }

  @Test("Without BitNet every ternary component is fp32")
  func withoutBitNet() throws {
    var precision = PrecisionConfiguration()
    precision.useBitnet = false
    let formats = precision.resolved()
    #expect(formats.attention == .fp32 && formats.diffusion == .fp32)
    #expect(formats.experts == .int4 && formats.agents == .int8 && formats.overseer == .fp16 && formats.head == .bf16)
  }

  @Test("The packed model gives back the formats' values and the dense ones exactly", arguments: NumberFormat.allCases)
  func packedModel(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 125)
    let copy = tiny.model.makePackedModel()
    copy.copy(from: tiny.weights)
    for id in tiny.model.table.ids {
      let specification = tiny.model.table[id]
      guard case .linear(let used) = specification.role else {
        #expect((0..<specification.count).allSatisfy { copy.values(id)[$0] == tiny.masters.values(id)[$0] })
        continue
      }
      let isFixed = specification.name.contains("router") || specification.name.contains("time.")
      #expect(used == (isFixed ? .fp32 : format), "\(specification.name)")
      #expect(copy.weights(id).data.array == tiny.weights.weights(id).data.array)
    }
    let count = tiny.model.diffusion?.denoiser.time.count ?? 0
    #expect(count == 11 * 20 && sameBits(copy.derived.array, tiny.weights.derived.array))
  }
}
