/// Prompts by number, without state: every rank can compute every prompt.
public protocol PromptSource: Sendable {
  /// The name of the source in logs and errors.
  var name: String { get }

  /// The number of distinct held-out prompts, if it is known without drawing them.
  var heldOutCount: Int? { get }

  /// Prompt `index` (from 0, unlimited) of a part. It depends only on the source's seed, the part and the index. Its
  /// `id` is the index.
  ///
  /// - Throws: `TaskError` if the part has no prompts.
  func prompt(index: Int, split: Split) throws(TaskError) -> Prompt

  /// `count` distinct held-out prompts, the same for every seed, with ids 0 ..< count.
  ///
  /// - Throws: `TaskError` if there are fewer.
  func heldOut(count: Int) throws(TaskError) -> [Prompt]
}
