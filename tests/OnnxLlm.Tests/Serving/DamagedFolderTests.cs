using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs.Artifacts;
using OnnxLlm.Graphs.Onnx;

namespace OnnxLlm.Tests.Serving;

/// <summary>The folder of a model that a server process has open is damaged in place: it is refused, and what was served before answers as before.</summary>
public sealed class DamagedFolderTests : IDisposable
{
    private readonly ServedPackage _package = new();
    private ServerProcess? _server;
    private HttpClient? _http;

    public void Dispose()
    {
        _http?.Dispose();
        _server?.Dispose();
        _package.Dispose();
    }

    /// <param name="dataApart">The weights lie in a file of their own, as those of models above 2 GB do.</param>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task AnyFile_CutOrAltered_IsRefusedAndTheOldModelGoesOn(bool dataApart)
    {
        if (dataApart) MoveDataOut(_package.Folder);
        Serve();
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

    private static void MoveDataOut(string folder)
    {
        var path = Path.Combine(folder, "model.onnx");
        OnnxFile.Write(OnnxFile.Read(path), path, externalThreshold: 0);
        Assert.True(new FileInfo(path + ".data").Length > 100_000);
        PackageManifest.Read(folder).Seal(folder);
    }

    private void Serve()
    {
        _server = new ServerProcess("--model", _package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1", "--admin-key", "admin", "--cache-mb", "0", "--prefix-cache-mb", "0");
        _http = new HttpClient { BaseAddress = _server.Address(), Timeout = ServerProcess.Patience };
        _http.DefaultRequestHeaders.Authorization = new("Bearer", "admin");
        _server.IgnoreLog();
    }

    private static byte[] Altered(byte[] whole, int at)
    {
        byte[] altered = [.. whole];
        altered[at] ^= 0x40;
        return altered;
    }

    private async Task<(HttpStatusCode Status, string Text)> ReloadAsync()
    {
        using var answer = await _http!.PostAsync("/admin/models/package/reload", null);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private async Task<string> AskAsync()
    {
        using var answer = await _http!.PostAsJsonAsync("/v1/completions", new { model = "package", prompt = "Once upon", temperature = 0, max_tokens = 24, ignore_eos = true, logprobs = 1 });
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["choices"]!.ToJsonString();
    }
}
