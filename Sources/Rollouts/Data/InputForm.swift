import Formats
import Foundation

/// Recognises data files that this program does not read, so that they are refused by name and never read as text.
enum InputForm {
  /// - Throws: `DataError` for a table, a compressed file, or the folder of a saved data set.
  static func refuse(_ url: URL) throws(DataError) {
    let ending = url.pathExtension.lowercased()
    let converted = "convert it to JSON Lines: launch/dataset \(url.relativePath) -o FILE.jsonl"
    switch ending {
    case "csv", "tsv", "parquet", "arrow", "feather":
      guard TextFile.isReadable(url.path) else { return }
      throw DataError(file: url.relativePath, problem: "a .\(ending) file cannot be read directly", remedy: converted)
    case "gz", "zst", "xz", "bz2", "zip", "lz4":
      guard TextFile.isReadable(url.path) else { return }
      throw DataError(file: url.relativePath, problem: "the file is compressed (.\(ending))", remedy: "decompress it")
    default: break
    }
    let isSaved = ["state.json", "dataset_info.json", "dataset_dict.json"].contains {
      FileManager.default.fileExists(atPath: url.appendingPathComponent($0).path)
    }
    if isSaved {
      throw DataError(
        file: url.relativePath, problem: "the folder of a saved Hugging Face data set", remedy: converted)
    }
  }

  /// Refuses JSON in a file whose name says plain text.
  static func refuseJSON(_ text: String, _ url: URL) throws(DataError) {
    let start = text.utf8.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
    let isObject = start.first == UInt8(ascii: "{") && isJSON(start.prefix { $0 != 0x0A })
    let second = start.dropFirst().first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
    let isList = start.first == UInt8(ascii: "[") && second == UInt8(ascii: "{") && isJSON(start)
    guard isObject || isList else { return }
    throw DataError(
      file: url.relativePath, line: 1 + text.utf8[..<start.startIndex].count { $0 == 0x0A },
      problem: isList ? "a JSON list in a file of plain text" : "JSON Lines in a file of plain text",
      remedy: "rename the file to .\(isList ? "json" : "jsonl"), so that its documents are read")
  }

  private static func isJSON(_ text: Substring.UTF8View) -> Bool { (try? JSONValue.parse(text)) != nil }
}
