import ArgumentParser
import Rollouts
import Runs

/// Sampling options of `generate`.
struct GenerationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Maximum tokens of a completion (default: 128, or fewer if the model's context is full).", valueName: "n"))
  var maxTokens: Int?

  @Option(
    help: ArgumentHelp("Sampling temperature; below 1e-5 the most probable token is always chosen.", valueName: "t"))
  var temperature = 1.0

  @Option(help: ArgumentHelp("Sample only from the k most probable tokens; 0: from all.", valueName: "k"))
  var topK = 0

  @Option(
    help: ArgumentHelp(
      "Sample only from the most probable tokens whose probabilities add up to p; 1: from all.", valueName: "p"))
  var topP = 1.0

  @Option(
    help: ArgumentHelp(
      "Exclude tokens less probable than p times the most probable token; 0: exclude none.", valueName: "p"))
  var minP = 0.0

  @Option(
    help: ArgumentHelp(
      "Repetition penalty; values above 1 penalise tokens already in the sequence.", valueName: "x"))
  var repetitionPenalty = 1.0

  @Option(help: ArgumentHelp("Seed of all random numbers, including those of the latents.", valueName: "n"))
  var seed: UInt64 = 0

  @Option(
    name: .long, parsing: .singleValue, help: ArgumentHelp("Stop before this text. Repeatable.", valueName: "text"))
  var stop: [String] = []

  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("Number of completions per prompt.", valueName: "n"))
  var samples = 1

  @Option(
    help: ArgumentHelp(
      "In JSON, report log-probabilities, and those of the n most probable tokens at each position.", valueName: "n"))
  var logprobs: Int?

  func validate() throws {
    if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens must be 1 or more, got \(maxTokens)") }
    if !(0...1e6).contains(temperature) {
      throw ValidationError("--temperature must be from 0 to 1e6, got \(temperature)")
    }
    if topK < 0 { throw ValidationError("--top-k must be 0 or more, got \(topK)") }
    if !(topP > 0 && topP <= 1) { throw ValidationError("--top-p must be above 0 and at most 1, got \(topP)") }
    if !(0...1).contains(minP) { throw ValidationError("--min-p must be from 0 to 1, got \(minP)") }
    if !(1e-6...1e6).contains(repetitionPenalty) {
      throw ValidationError("--repetition-penalty must be from 1e-6 to 1e6, got \(repetitionPenalty)")
    }
    if !(1...4096).contains(samples) { throw ValidationError("--samples must be from 1 to 4096, got \(samples)") }
    if let logprobs, !(0...100).contains(logprobs) {
      throw ValidationError("--logprobs must be from 0 to 100, got \(logprobs)")
    }
    if stop.contains("") { throw ValidationError("--stop must not be empty") }
  }

  /// The options of the generator.
  func options(stops: [String] = []) -> TextGenerator.Options {
    var options = TextGenerator.Options()
    options.sampling.maxNewTokens = maxTokens ?? 128
    options.sampling.greedy = temperature < SamplingOptions.minimumTemperature
    options.sampling.temperature = options.sampling.greedy ? 1 : Float(temperature)
    options.sampling.topK = topK
    options.sampling.topP = topP
    options.sampling.minP = minP
    options.sampling.repetitionPenalty = Float(repetitionPenalty)
    options.samples = samples
    options.seed = seed
    options.stops = stop + stops
    options.alternatives = logprobs ?? 0
    return options
  }
}
