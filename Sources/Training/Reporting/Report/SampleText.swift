import Foundation
import Rollouts

/// A line of samples.jsonl as HTML: prompt, completion with each token coloured by its log-probability, answer, reward.
enum SampleText {
  static func html(_ members: [String: JSONValue]) -> String {
    let texts = (members["tokens"]?.listValue ?? []).map { $0.textValue ?? "" }
    let figures = (members["logprobs"]?.listValue ?? []).map { $0.numberValue ?? 0 }
    let completion =
      texts.isEmpty
      ? HTMLText.escaped(members["completion"]?.textValue ?? "")
      : zip(texts, figures).map(token).joined()
    let reward = members["reward"]?.numberValue.map { FigureText.fixed($0, 3) } ?? "unscored"
    let answer = members["answer"]?.textValue.map { "<span class=\"quiet-text\">answer</span> \(HTMLText.escaped($0))" }
    return """
      <article><pre>\(HTMLText.escaped(members["prompt"]?.textValue ?? ""))<b>\(completion)</b></pre>
      <p>\([answer, "<span class=\"quiet-text\">reward</span> \(reward)"].compactMap { $0 }.joined(separator: " · "))</p></article>
      """
  }

  /// Certain tokens have no colour; at −4 nats and below it is full.
  private static func token(_ text: String, _ logProbability: Double) -> String {
    let strength = min(1, max(0, -logProbability / 4))
    let shown = text.isEmpty ? "■" : HTMLText.escaped(text)
    return "<span class=\"token\" style=\"--p:\(FigureText.fixed(strength, 2))\" "
      + "title=\"log-probability \(FigureText.fixed(logProbability, 3)), probability "
      + "\(FigureText.fixed(exp(logProbability), 3))\">\(shown)</span>"
  }
}
