import MPI
import Rollouts

/// The difficulty samplers of a run's sources (`data.sampler`). Every rank has the same state.
package struct PromptCurriculum: Sendable {
  /// A sampler with the name of its source; nil for the only source.
  package let samplers: [(name: String?, sampler: DifficultySampler)]
  /// The prompts as the samplers draw them.
  let prompts: any PromptSource
  private let mixture: PromptMixture?

  init(_ prompts: any PromptSource, seed: UInt64, minimum: Double) {
    guard let mixture = prompts as? PromptMixture else {
      let sampler = DifficultySampler(prompts, number: 0, seed: seed, minimum: minimum)
      (samplers, self.prompts, self.mixture) = ([(nil, sampler)], sampler, nil)
      return
    }
    let samplers = mixture.parts.enumerated().map { number, part in
      (part.name, DifficultySampler(part.source, number: number, seed: seed, minimum: minimum))
    }
    let byName = Dictionary(samplers) { first, _ in first }
    self.samplers = samplers
    self.mixture = mixture
    self.prompts = mixture.replacingSources { byName[$0.name] ?? $0.source }
  }

  var states: [DifficultySampler.State] { samplers.map(\.sampler.state) }

  func restore(_ states: [DifficultySampler.State]) {
    for (sampler, state) in zip(samplers, states) { sampler.sampler.state = state }
  }

  func beginRollout() {
    for sampler in samplers { sampler.sampler.beginRollout() }
  }

  /// Draws the prompts of groups.
  func draw(_ numbers: Range<Int>) throws(TaskError) {
    guard let mixture else { return try samplers[0].sampler.draw(Array(numbers)) }
    let draws = numbers.map(mixture.draw)
    for (part, sampler) in samplers.enumerated() {
      try sampler.sampler.draw(draws.filter { $0.part == part }.map(\.earlier))
    }
  }

  /// Adds the right completions of a round, of all ranks.
  func record(_ passes: [PassRecord]) throws(TaskError) {
    for record in passes.sorted(by: { $0.number < $1.number }) {
      guard let rate = record.rate else { continue }
      let draw = mixture?.draw(Int(record.number))
      try samplers[draw?.part ?? 0].sampler.record(rate, of: draw?.earlier ?? Int(record.number))
    }
  }

  /// The draws of the last rollout, for the ledger.
  var draws: [PromptLedger.Draws] {
    samplers.map { name, sampler in
      let state = sampler.state
      return PromptLedger.Draws(
        source: name, first: state.first, count: state.next - state.first, drawn: state.drawn.values.sorted())
    }
  }

  /// Metrics of the last rollout.
  var metrics: [String: Double] {
    let states = states
    let rates = states.flatMap(\.rates.values)
    return [
      "sampler/skipped": Double(states.reduce(0) { $0 + $1.next - $1.first - $1.drawn.count }),
      "sampler/measured": Double(rates.count),
      "sampler/learnable": Double(rates.count { $0 > 0 && $0 < 1 }) / Double(max(1, rates.count)),
    ]
  }
}
