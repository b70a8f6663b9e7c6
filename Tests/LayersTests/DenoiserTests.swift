import Layers
import LowBit
import Models
import Parameters
import Tensors
import TestSupport
import Testing

@Suite("The denoiser and its time embedding")
struct DenoiserTests {
  @Test("The gradients of every parameter and of the context agree with difference quotients")
  func gradients() throws {
    let tiny = try TinyModel(seed: 81)
    let denoiser = try #require(tiny.model.diffusion).denoiser
    var numbers = RandomNumbers(seed: 82)
    let rows = 6
    let xContext = tiny.matrix(numbers.normals(rows * 20), columns: 20)
    let projection = numbers.normals(rows * 20)
    let z = tiny.context.arena.view(of: numbers.bytes(rows * 3))
    // Level 3 twice, level 0 never: rows of the time table that are shared and unused.
    let levels = tiny.context.arena.view(of: [1, 3, 10, 3, 7, 2] as [Int32])
    func forward(_ logits: Matrix) -> (Denoiser.Saved, RMSNorm.Saved) {
      let (context, contextSaved) = denoiser.normalizedContext(xContext, tiny.forward)
      return (denoiser.forward(z, context: context, levels: levels, into: logits, tiny.forward), contextSaved)
    }
    let (saved, contextSaved) = forward(tiny.context.arena.matrix(rows, 20))
    let dContext = tiny.context.arena.zeros(rows, 20)
    denoiser.backward(
      tiny.matrix(projection, columns: 20), saved, levels: levels, contextSaved: contextSaved, into: dContext,
      tiny.backward)
    let found = tiny.disagreements(
      seed: 83, inputs: [("x_ctx", xContext, dContext)],
      check: FiniteDifference(coordinates: 30, tolerance: 5e-3, floor: 1e-3),
      wanted: { $0.hasPrefix("diffusion.") && !$0.contains("latent_out") }
    ) {
      tiny.context.arena.scoped {
        let logits = tiny.context.arena.matrix(rows, 20)
        _ = forward(logits)
        return inner(projection, logits)
      }
    }
    #expect(found.isEmpty, "\(found.prefix(8))")
  }

  @Test("A row's logits depend on its own bits, context and level only", arguments: NumberFormat.allCases)
  func independence(_ format: NumberFormat) throws {
    let tiny = try TinyModel(format, seed: 84)
    let denoiser = try #require(tiny.model.diffusion).denoiser
    var numbers = RandomNumbers(seed: 85)
    let rows = 9
    let xContext = tiny.matrix(numbers.normals(rows * 20), columns: 20)
    let z = tiny.context.arena.view(of: numbers.bytes(rows * 3))
    let levels = tiny.context.arena.view(of: [10, 1, 4, 4, 9, 0, 2, 10, 6] as [Int32])
    func logits(_ range: Range<Int>) -> [Float] {
      let (context, _) = denoiser.normalizedContext(xContext.rows(range), tiny.forward)
      let out = tiny.context.arena.matrix(range.count, 20)
      _ = denoiser.forward(
        z.part(range.lowerBound * 3..<range.upperBound * 3), context: context, levels: levels.part(range), into: out,
        tiny.forward)
      return out.array
    }
    let whole = logits(0..<rows)
    for row in 0..<rows { #expect(sameBits(logits(row..<row + 1), Array(whole[row * 20..<(row + 1) * 20]))) }
    #expect(sameBits(logits(2..<7), Array(whole[40..<140])))
  }

  @Test("Packed bits become signs, lowest bit first")
  func bits() {
    let arena = Arena()
    let values = arena.matrix(2, 10)
    values.setSigns(arena.view(of: [0b0000_0101, 0b1111_1110, 0b1000_0000, 0b0000_0001]))
    let expected: [Float] = [1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, -1, -1, -1, -1, -1, -1, 1, 1, -1]
    #expect(values.array == expected)
  }
}
