import Errors
import Formats
import Foundation

/// Lines of samples.jsonl in HTML: one card per prompt with its answer and completions, whose tokens are coloured by
/// log-probability.
enum SampleText {
  /// Maximum number of prompts per step.
  private static let prompts = 4
  /// Maximum number of completions per prompt.
  private static let completions = 4

  /// The explanation of the colours.
  static let legend = """
    <p class="quiet">A token's colour is its log-probability when it was sampled: \
    <span class="token" style="--p:0">likely</span> <span class="token" style="--p:0.33">exp(−1.3)</span> \
    <span class="token" style="--p:0.67">exp(−2.7)</span> <span class="token" style="--p:1">exp(−4) or less</span>. \
    Point at a token for its value. ■ is a token without text, such as the end of a completion.</p>
    """

  /// The cards of the samples of a step, in the order of the file.
  static func html(step: Int, _ samples: [[String: JSONValue]]) -> String {
    var order: [String] = []
    var byPrompt: [String: [[String: JSONValue]]] = [:]
    for sample in samples {
      let prompt = sample["prompt"]?.textValue ?? ""
      if byPrompt[prompt] == nil { order.append(prompt) }
      byPrompt[prompt, default: []].append(sample)
    }
    return order.prefix(prompts).map { card(step, $0, Array((byPrompt[$0] ?? []).prefix(completions))) }.joined()
  }

  private static func card(_ step: Int, _ prompt: String, _ samples: [[String: JSONValue]]) -> String {
    let answer = samples.first?["answer"]?.textValue.map {
      "<div class=\"part answer\"><span>answer</span><pre>\(HTMLText.escaped($0, breaksLines: true))</pre></div>"
    }
    let list = samples.map { sample in
      let reward = sample["reward"]?.numberValue.map { "reward \(FigureText.fixed($0, 3))" } ?? "unscored"
      return "<div class=\"part completion\"><span>completion <em>\(reward)</em></span>"
        + "<pre>\(completion(sample))</pre></div>"
    }
    return """
      <article><div class="part prompt"><span>prompt <em>step \(FigureText.grouped(step))</em></span><pre>\(HTMLText.escaped(prompt, breaksLines: true))</pre></div>\
      \(answer ?? "")\(list.joined())</article>
      """
  }

  private static func completion(_ sample: [String: JSONValue]) -> String {
    let texts = (sample["tokens"]?.listValue ?? []).map { $0.textValue ?? "" }
    let figures = (sample["logprobs"]?.listValue ?? []).map { $0.numberValue ?? 0 }
    return texts.isEmpty
      ? HTMLText.escaped(sample["completion"]?.textValue ?? "", breaksLines: true)
      : zip(texts, figures).map(token).joined()
  }

  /// Tokens of probability 1 have no colour; at −4 nats and below, the colour has full strength.
  private static func token(_ text: String, _ logProbability: Double) -> String {
    let strength = min(1, max(0, -logProbability / 4))
    let shown = text.isEmpty ? "■" : HTMLText.escaped(text, breaksLines: true)
    return "<span class=\"token\" style=\"--p:\(FigureText.fixed(strength, 2))\" "
      + "title=\"log-probability \(FigureText.fixed(logProbability, 3)), probability "
      + "\(FigureText.fixed(exp(logProbability), 3))\">\(shown)</span>"
  }
}
