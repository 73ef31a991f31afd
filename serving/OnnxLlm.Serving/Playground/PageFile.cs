using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Playground;

/// <summary>One file of the page, built into the program.</summary>
internal sealed class PageFile
{
    private const string Folder = "playground/";

    /// <summary>Only what this server itself sends may run, and nobody may frame it: the page holds an API key.</summary>
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private readonly byte[] _content;
    private readonly string _tag;

    private PageFile(string resource)
    {
        Name = resource[Folder.Length..];
        using var stream = typeof(PageFile).Assembly.GetManifestResourceStream(resource)!;
        _content = new byte[stream.Length];
        stream.ReadExactly(_content);
        _tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(_content))[..16]}\"";
    }

    /// <summary>As in its address.</summary>
    public string Name { get; }

    public static IReadOnlyList<PageFile> All { get; } =
        [.. typeof(PageFile).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(Folder, StringComparison.Ordinal)).Select(name => new PageFile(name))];

    public async Task WriteAsync(HttpContext context)
    {
        var headers = context.Response.Headers;
        (headers.ETag, headers.CacheControl) = (_tag, "no-cache");
        (headers.ContentSecurityPolicy, headers.XContentTypeOptions, headers["Referrer-Policy"]) = (Policy, "nosniff", "no-referrer");
        if (context.Request.Headers.IfNoneMatch == _tag)
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        context.Response.ContentType = $"{ContentType()}; charset=utf-8";
        context.Response.ContentLength = _content.Length;
        await context.Response.Body.WriteAsync(_content, context.RequestAborted).ConfigureAwait(false);
    }

    private string ContentType() => Path.GetExtension(Name) switch
    {
        ".html" => "text/html",
        ".css" => "text/css",
        ".svg" => "image/svg+xml",
        _ => "text/javascript",
    };
}
