import Foundation

/// Documents for pre-training, divided into a part to train on and a held-out part.
///
/// - A file of JSON Lines (`.jsonl`, `.ndjson`, `.json`) holds one document per line, `{"text": "…"}`, or is a JSON list
///   of such objects; a document is held out by a hash of its text, so repetitions stay in one part.
/// - Any other file is one document of plain text. Its last part is held out, from the first line break after the
///   training share, so that trained text does not surround it.
public struct TextCorpus: Sendable {
  public let train: [String]
  public let heldOut: [String]

  /// Reads and divides a file.
  ///
  /// - Parameters:
  ///   - member: the member that holds the text of a document.
  ///   - heldOutShare: of bytes (plain text) or documents, from 0 to below 1; 0 holds nothing out.
  ///   - observe: called with all bytes of the file.
  /// - Throws: `DataError` naming file and line, also if a part would be empty.
  public init(
    contentsOf url: URL, member: String = "text", heldOutShare: Double = 0.1, version: SplitVersion = .current,
    observe: ContentObserver = { _ in }
  ) throws(DataError) {
    if !(0..<1).contains(heldOutShare) {
      throw DataError(
        file: url.relativePath, problem: "a held-out share of \(heldOutShare)",
        remedy: "give a number from 0 to below 1")
    }
    let ending = url.pathExtension.lowercased()
    if ending == "json" || JSONLines.pathExtensions.contains(ending) {
      var documents: [String] = []
      for line in try JSONLines.lines(at: url, observe: observe) {
        let text = try JSONLines.text(member, of: line, isRequired: true, file: url, key: "data.members.text")
        documents.append(text ?? "")
      }
      let texts = Set(documents.filter { StableHash.isHeldOut($0, share: heldOutShare, version: version) })
      train = documents.filter { !texts.contains($0) && !$0.isEmpty }
      heldOut = documents.filter { texts.contains($0) && !$0.isEmpty }
    } else {
      try InputForm.refuse(url)
      let text = try TextFile.text(at: url, observe: observe)
      try InputForm.refuseJSON(text, url)
      let cut = Self.cut(text, heldOutShare: heldOutShare)
      train = [String(text[..<cut])].filter { !$0.isEmpty }
      heldOut = [String(text[cut...])].filter { !$0.isEmpty }
    }
    if train.isEmpty || (heldOut.isEmpty && heldOutShare > 0) {
      throw DataError(
        file: url.relativePath,
        problem: "the \(train.isEmpty ? "train" : "held-out") part is empty at share \(heldOutShare)",
        remedy: "add text or change the share")
    }
  }

  private static func cut(_ text: String, heldOutShare: Double) -> String.Index {
    if heldOutShare == 0 { return text.endIndex }
    let trained = Int((1 - heldOutShare) * Double(text.utf8.count))
    let start = text.utf8.index(text.startIndex, offsetBy: trained)
    if let lineBreak = text.utf8[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let next = text.utf8.index(after: lineBreak)
      if next < text.endIndex { return next }
    }
    // No line break has text after it: cut in front of the scalar that contains the byte.
    var scalar = start
    while scalar.samePosition(in: text.unicodeScalars) == nil { scalar = text.utf8.index(before: scalar) }
    return scalar
  }
}
