/// A token that is found in texts as a whole, before they are divided into words.
struct AddedToken: Sendable {
  let id: Int32
  let content: String
  /// Special tokens are never made from text: a text that spells one is ordinary text.
  var isSpecial: Bool
  /// Whether it is found in the normalised text instead of the text as given.
  var isNormalized: Bool
  /// Whether it is found only between characters that are not part of a word.
  var isSingleWord = false
  /// Whether white space on its left, or right, belongs to it.
  var takesSpaceOnLeft = false
  var takesSpaceOnRight = false
}
