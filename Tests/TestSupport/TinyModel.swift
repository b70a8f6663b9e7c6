import Layers
import LowBit
import Models
import Parameters
import Tensors

extension ModelConfiguration {
  /// The sizes of a whole model that takes milliseconds. They are awkward: no width is a multiple of sixteen, and the
  /// vocabulary ends in a ragged chunk.
  public static var tiny: ModelConfiguration {
    var sizes = ModelConfiguration(dim: 20)
    sizes.vocabSize = 1030
    sizes.numLayers = 2
    sizes.numHeads = 2
    sizes.numMiniMoes = 3
    sizes.numExpertsPerMini = 3
    sizes.expertDim = 30
    sizes.numMicrosPerMini = 5
    sizes.microTopK = 2
    sizes.microAgentDim = 7
    sizes.overseerDim = 30
    sizes.diffusionDim = 30
    sizes.diffusionBlocks = 2
    sizes.maxSeqLen = 64
    sizes.int4Group = 10
    sizes.overseerScale = 0.5
    sizes.latentScale = 0.5
    sizes.microScale = 0.5
    return sizes
  }
}

extension PrecisionConfiguration {
  /// One format for every component.
  public init(all format: NumberFormat) {
    self.init()
    overseer = format
    attention = format
    diffusion = format
    experts = format
    agents = format
    head = format
  }
}

/// A model of tiny sizes with random weights, packed, and its gradients.
public final class TinyModel {
  public let model: QuillanModel
  public let masters: ParameterStore
  public let weights: PackedModel
  public let gradients: ParameterStore
  public let context: Context

  public init(
    _ format: NumberFormat = .fp32, seed: UInt64, pool: WorkerPool = WorkerPool(threads: 1),
    change: (inout ModelConfiguration) -> Void = { _ in }
  ) throws {
    var sizes = ModelConfiguration.tiny
    change(&sizes)
    model = try QuillanModel(sizes, PrecisionConfiguration(all: format))
    context = Context(pool: pool)
    masters = ParameterStore(model.table)
    gradients = ParameterStore(model.table)
    weights = model.makePackedModel()
    var numbers = RandomNumbers(seed: seed)
    for id in model.table.ids {
      let isNorm = model.table[id].initial == .ones
      for index in masters.values(id).indices {
        masters.values(id)[index] = isNorm ? 1 + numbers.normal(0.2) : numbers.normal(0.25)
      }
    }
    pack()
  }

  public func pack() { model.pack(masters, into: weights, context) }

  /// What forward passes take: of one component, and of the layers over `spans`.
  public var forward: ForwardLane { ForwardLane(weights, context.main) }
  public func pass(_ spans: ArenaList<Span>, _ report: BalanceReport?) -> ForwardPassContext {
    ForwardPassContext(council: model.council, spans: spans, weights: weights, report: report, context: context)
  }

  /// What backward passes of one component take; gradients are added in fp32.
  public var backward: BackwardLane {
    BackwardLane(weights, Gradients(gradients, mixedPrecision: false), context.main)
  }

  /// A matrix in the arena with the given numbers.
  public func matrix(_ values: [Float], columns: Int) -> Matrix {
    let out = context.arena.matrix(values.count / columns, columns)
    for (index, value) in values.enumerated() { out.pointer[index] = value }
    return out
  }

  /// Compares the gradients of all parameters whose name passes `wanted`, and of `inputs`, with difference quotients.
  public func disagreements(
    seed: UInt64, inputs: [(name: String, values: Matrix, gradient: Matrix)], check: FiniteDifference,
    wanted: (String) -> Bool, loss: () -> Double?
  ) -> [String] {
    var numbers = RandomNumbers(seed: seed)
    var found: [String] = []
    for id in model.table.ids where wanted(model.table[id].name) && model.table[id].role != .balanceBias {
      found += check.disagreements(
        model.table[id].name, masters.values(id), gradient: Array(gradients.values(id)), numbers: &numbers
      ) {
        pack()
        return loss()
      }
      pack()
    }
    for input in inputs {
      found += check.disagreements(
        input.name, UnsafeMutableBufferPointer(start: input.values.pointer, count: input.values.count),
        gradient: input.gradient.array, numbers: &numbers, loss: loss)
    }
    return found
  }
}

/// ⟨a, b⟩ in double.
public func inner(_ a: [Float], _ b: Matrix) -> Double {
  var sum = 0.0
  for (index, value) in a.enumerated() { sum += Double(value) * Double(b.pointer[index]) }
  return sum
}
