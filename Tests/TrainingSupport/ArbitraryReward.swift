import Rollouts

/// A number in 0 ..< 1 that depends only on the completion.
package struct ArbitraryReward: Reward {
  package let name = "arbitrary"

  package init() {}

  package func score(prompt: Prompt, completion: String, completionTokens: Int, finished: Bool) -> Double {
    var fingerprint = Fingerprint()
    for byte in completion.utf8 { fingerprint.add(UInt64(byte)) }
    return Double(UInt64(bitPattern: fingerprint.value) % 1000) / 1000
  }
}
