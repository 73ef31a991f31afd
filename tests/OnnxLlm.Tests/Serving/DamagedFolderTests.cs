using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>The folder of a model that a server process has open is damaged in place: it is refused, and what was served before answers as before.</summary>
public sealed class DamagedFolderTests : IDisposable
{
    private readonly ServedPackage _package = new();
    private readonly ServerProcess _server;
    private readonly HttpClient _http;

    public DamagedFolderTests()
    {
        _server = new ServerProcess("--model", _package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1", "--admin-key", "admin", "--cache-mb", "0", "--prefix-cache-mb", "0");
        _http = new HttpClient { BaseAddress = _server.Address(), Timeout = ServerProcess.Patience };
        _http.DefaultRequestHeaders.Authorization = new("Bearer", "admin");
        _server.IgnoreLog();
    }

    public void Dispose()
    {
        _http.Dispose();
        _server.Dispose();
        _package.Dispose();
    }

    [Fact]
    public async Task AnyFile_CutOrAltered_IsRefusedAndTheOldModelGoesOn()
    {
        var expected = await AskAsync();
        foreach (var file in Directory.GetFiles(_package.Folder))
        {
            var whole = await File.ReadAllBytesAsync(file);
            foreach (var damaged in (byte[][])[whole[..(whole.Length / 2)], Altered(whole, whole.Length / 2)])
            {
                await File.WriteAllBytesAsync(file, damaged);
                var (status, text) = await ReloadAsync();
                Assert.True(status == HttpStatusCode.UnprocessableEntity, $"{Path.GetFileName(file)}, {damaged.Length} of {whole.Length} bytes: {status} {text}");
                Assert.Equal(expected, await AskAsync());
            }

            await File.WriteAllBytesAsync(file, whole);
        }

        Assert.Equal(HttpStatusCode.OK, (await ReloadAsync()).Status);
        Assert.Equal(expected, await AskAsync());
    }

    private static byte[] Altered(byte[] whole, int at)
    {
        byte[] altered = [.. whole];
        altered[at] ^= 0x40;
        return altered;
    }

    private async Task<(HttpStatusCode Status, string Text)> ReloadAsync()
    {
        using var answer = await _http.PostAsync("/admin/models/package/reload", null);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private async Task<string> AskAsync()
    {
        using var answer = await _http.PostAsJsonAsync("/v1/completions", new { model = "package", prompt = "Once upon", temperature = 0, max_tokens = 24, ignore_eos = true, logprobs = 1 });
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["choices"]!.ToJsonString();
    }
}
