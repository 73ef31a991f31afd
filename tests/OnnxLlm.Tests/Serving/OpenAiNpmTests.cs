using System.Diagnostics;
using OnnxLlm.Serving.Models;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>The official client for JavaScript against the server: <c>tests/openai-client/client.mjs</c> holds the checks.</summary>
public sealed class OpenAiNpmTests
{
    private const string Story = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nOnce upon a time there was a small server. The stop is a word.";

    [Needs("node")]
    public async Task Client_ForJavaScript_IsContent()
    {
        var teller = new ParrotModel(TestServer.Tokenizer.Encode(Story, allowSpecial: true), TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize);
        var (noise, faulty) = (TestServer.Noise(maxLength: 100_000), TestServer.Noise());
        faulty.BeforePass = () => { if (faulty.DecodePasses == 3) throw new InvalidOperationException("injected"); };
        await using var server = await TestServer.StartAsync(
            teller, options => options with { ApiKeys = ["right"] },
            more: [new ModelSource(TestServer.Describe("noise", noise), noise), new ModelSource(TestServer.Describe("faulty", faulty), faulty)]);

        var filter = Path.GetTempFileName();
        await File.WriteAllTextAsync(filter, """{"categories":[{"name":"forbidden","words":["forbiddenword"]}]}""");
        await using var filtered = await TestServer.StartAsync(change: options => options with { ContentFilter = filter });
        File.Delete(filter);

        var node = new ProcessStartInfo("node", [Repository.PathOf("tests", "openai-client", "client.mjs"), server.Address.ToString(), "right", filtered.Address.ToString()]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(node)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromMinutes(2));
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, output + await error);
        Assert.Equal(16, output.Split('\n').Count(line => line.StartsWith("ok ", StringComparison.Ordinal)));
    }
}
