using System.Security.Cryptography;

namespace OnnxLlm.Serving.Api;

/// <summary>The only chance in the server, so that tests can take it away: names of answers and seeds nobody chose.</summary>
internal sealed record Entropy(Func<string> NextId, Func<long> NextSeed)
{
    public static Entropy System { get; } = new(
        () => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12)),
        () => BitConverter.ToInt64(RandomNumberGenerator.GetBytes(sizeof(long))));
}
