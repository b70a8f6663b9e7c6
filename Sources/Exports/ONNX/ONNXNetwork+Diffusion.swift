import Foundation
import Layers
import Models

extension ONNXNetwork {
  /// Adds the graph that samples latents: every denoiser call unrolled, random numbers as inputs.
  func buildDiffusion(_ diffusion: ReasoningDiffusion) throws {
    let d = configuration.dim
    let schedule = diffusion.schedule
    let steps = schedule.inferenceSteps
    let ids = graph.input("input_ids", .int64, [.named("batch"), .named("sequence")])
    let noise = graph.input("noise", .uint8, [.named("batch"), .named("sequence"), .fixed(d)])
    let uniforms =
      steps > 1
      ? graph.input("uniforms", .float, [.fixed(steps - 1), .named("batch"), .named("sequence"), .fixed(d)]) : nil
    let shape = graph.add(
      "Concat", [graph.add("Shape", [ids]), try graph.integers([d])], [.integer("axis", 0)])
    let prefix = try prefix(try reshape(ids, [-1]))
    graph.scope = "diffusion/"
    let context = try norm(prefix.context, weight: "diffusion.context_norm.weight")
    var signs = try signs(noise)
    var probabilities: [String] = []
    for step in 0..<steps {
      let reverse = schedule.reverseStep(step)
      graph.scope = "diffusion/\(step)/"
      let logits = try denoised(signs, context, level: reverse.from)
      let p = graph.add("Sigmoid", [logits])
      var next = p
      if reverse.isLast {
        // The logit's sign, as in sampling: the sigmoid of a small positive logit rounds to 0.5.
        let bits = cast(graph.add("Greater", [logits, try graph.scalar(0)]), .uint8)
        graph.add("Reshape", [bits, shape], named: "latents")
      } else {
        // P(z' = 1) is linear in p, with coefficients for a bit that is 0 and one that is 1.
        func line(_ bit: Bool) throws -> String {
          let zero = reverse.probabilityOfOne(bit: bit, cleanProbability: 0)
          let one = reverse.probabilityOfOne(bit: bit, cleanProbability: 1)
          return add(try scaled(p, by: Float(one - zero)), try graph.scalar(Float(zero)))
        }
        let isOne = graph.add("Greater", [signs, try graph.scalar(0)])
        next = graph.add("Where", [isOne, try line(true), try line(false)])
        let uniform = try reshape(
          graph.add("Gather", [uniforms ?? "", try graph.integer(step)], [.integer("axis", 0)]), [-1, d])
        let bits = cast(graph.add("Less", [uniform, next]), .float)
        signs = graph.add("Sub", [try scaled(bits, by: 2), try graph.scalar(1)])
      }
      let whole = graph.add("Reshape", [next, shape])
      probabilities.append(graph.add("Unsqueeze", [whole, try graph.integers([0])]))
    }
    graph.scope = ""
    graph.add("Concat", probabilities, [.integer("axis", 0)], named: "probabilities")
    graph.output("latents", .uint8, [.named("batch"), .named("sequence"), .fixed(d)])
    graph.output("probabilities", .float, [.fixed(steps), .named("batch"), .named("sequence"), .fixed(d)])
  }

  /// Logits [N, d] that each clean bit is 1, for bits as −1 and 1 at a noise level.
  private func denoised(_ signs: String, _ context: String, level: Int) throws -> String {
    let d = configuration.dim
    let row = UnsafeBufferPointer(start: weights.derived.pointer + level * d, count: d)
    let time = try graph.constant("diffusion.time.\(level)", [d], floats: Array(row))
    var h = add(add(try linear(signs, "diffusion.latent_in", bias: false), context), time)
    for block in 0..<configuration.diffusionBlocks {
      let name = "diffusion.blocks.\(block)"
      let up = gelu(try linear(try norm(h, weight: "\(name).norm.weight"), "\(name).up", bias: true))
      let mid = gelu(try linear(up, "\(name).mid", bias: true))
      h = add(h, try linear(mid, "\(name).down", bias: true))
    }
    return try linear(try norm(h, weight: "diffusion.out_norm.weight"), "diffusion.out", bias: true)
  }
}
