/// One turn of a conversation.
public struct ChatMessage: Equatable, Sendable {
  /// Who speaks: `system`, `user`, `assistant` or another role.
  public var role: String
  public var content: String

  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }
}
