import Layers
import LowBit
import Parameters
import Tensors
import TestSupport

/// A few parameters with random masters, their packed form and their gradients, for one layer on its own.
final class LayerBench {
  let table: ParameterTable
  let masters: ParameterStore
  let weights: PackedModel
  let gradients: ParameterStore
  let context: Context
  var numbers: RandomNumbers

  init(_ specifications: [ParameterSpecification], int4Group: Int = 10, threads: Int = 1, seed: UInt64) {
    table = ParameterTable(specifications)
    masters = ParameterStore(table)
    weights = PackedModel(table, int4Group: int4Group, derivedCount: 0)
    gradients = ParameterStore(table)
    context = Context(threads: threads)
    numbers = RandomNumbers(seed: seed)
    for id in table.ids {
      for index in masters.values(id).indices { masters.values(id)[index] = numbers.normal(0.4) }
    }
    pack()
  }

  /// What forward and backward passes of the layer take.
  var forward: ForwardLane { ForwardLane(weights, context.main) }
  func backward(mixedPrecision: Bool = false) -> BackwardLane {
    BackwardLane(weights, Gradients(gradients, mixedPrecision: mixedPrecision), context.main)
  }

  func pack() { weights.pack(masters, pool: context.pool) }

  func id(_ name: String) -> ParameterID { table.require(name) }

  func random(_ rows: Int, _ columns: Int) -> Matrix {
    let out = context.arena.matrix(rows, columns)
    for index in 0..<out.count { out.pointer[index] = numbers.normal() }
    return out
  }

  /// The gradients of all parameters and of `inputs` against difference quotients; `loss` runs in a scope of its own.
  func disagreements(
    inputs: [(name: String, values: Matrix, gradient: Matrix)], check: FiniteDifference = FiniteDifference(),
    loss: () -> Double
  ) -> [String] {
    var found: [String] = []
    for id in table.ids where table[id].role != .balanceBias {
      found += check.disagreements(
        table[id].name, masters.values(id), gradient: Array(gradients.values(id)), numbers: &numbers
      ) {
        pack()
        return context.arena.scoped(loss)
      }
      pack()
    }
    for input in inputs {
      found += check.disagreements(
        input.name, UnsafeMutableBufferPointer(start: input.values.pointer, count: input.values.count),
        gradient: input.gradient.array, numbers: &numbers
      ) { context.arena.scoped(loss) }
    }
    return found
  }
}

extension ParameterSpecification {
  /// A linear weight of a test layer.
  static func linear(_ name: String, _ shape: [Int], _ format: NumberFormat = .fp32) -> ParameterSpecification {
    ParameterSpecification(name, shape, .linear(format), .normal(deviation: 1))
  }

  /// A bias or norm of a test layer.
  static func dense(_ name: String, _ shape: [Int]) -> ParameterSpecification {
    ParameterSpecification(name, shape, .dense, .zeros)
  }
}
