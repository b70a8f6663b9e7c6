/// The prompts of one of several sources, marked with the name and the form of the source.
public struct SourcePrompts: PromptSource {
  public let base: any PromptSource
  public let name: String
  public let form: PromptForm

  public init(_ base: any PromptSource, name: String, form: PromptForm) {
    self.base = base
    self.name = name
    self.form = form
  }

  public var heldOutCount: Int? { base.heldOutCount }

  public func prompt(index: Int, split: Split) throws(TaskError) -> Prompt {
    marked(try base.prompt(index: index, split: split))
  }

  public func heldOut(count: Int) throws(TaskError) -> [Prompt] { try base.heldOut(count: count).map(marked) }

  /// A prompt of `base` as a prompt of this source.
  public func marked(_ prompt: Prompt) -> Prompt {
    var prompt = prompt
    prompt.source = name
    prompt.form = form
    return prompt
  }
}
