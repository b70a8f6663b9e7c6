/// Prompts by number, with no state: any rank can compute any prompt.
public protocol PromptSource: Sendable {
  /// How the prompts are called in logs and errors.
  var name: String { get }

  /// How many distinct held-out prompts there are, where that is known without drawing them.
  var heldOutCount: Int? { get }

  /// Prompt `index` (from 0, without end) of a part, a function of the source's seed, the part and the index alone.
  /// Its `id` is the index.
  ///
  /// - Throws: `TaskError` where the part has no prompts.
  func prompt(index: Int, split: Split) throws(TaskError) -> Prompt

  /// `count` distinct held-out prompts, the same for every seed, with ids 0 ..< count.
  ///
  /// - Throws: `TaskError` where there are fewer.
  func heldOut(count: Int) throws(TaskError) -> [Prompt]
}
